// Attention of one token, split over its keys (Flash-Decoding; Dao et al., 2023), for GPUs. Rotates the token's query
// and key, and writes its key and value into the cache.
//
//   partial_max = max_p s_p,  partial_sum = sum_p 2^(s_p - partial_max),  partial_out = sum_p 2^(s_p - partial_max) v_p
//   with s_p = log2(e) * scale * q . k_p   over the keys p of one split
//
// for HEADS query heads of one KV head at once, so that each key and value is read once. Scores: 8 invocations a key,
// KEYS keys at a time, so that neighbours read neighbouring quads. Output: an invocation owns one quad of the head and
// every STRIPS-th key. Both take 4 keys at once where there is one head, because a GPU needs many loads on their way, and
// one in two instructions of a loop over single keys did not compute.
//
// Every workgroup rotates its own queries. Those whose split has the token's own key make its row, attend to it as it is
// stored, and leave writing it to the first of them; so no row is read while it is written.
//
// Grid: x = KV heads times GROUP_SIZE / HEADS, y = splits of SPLIT keys, from the one that holds the window's first key.
// The host sizes y by a bound of the length; the real length is read from state, and splits past it end at once.
// Where keys of the window may lie past the ring's end, the window has no more keys than capacity.
// Prelude: SPLIT (a multiple of KEYS), HEADS (at most 4), SLOTS (8, 16 or 32: keys that stand side by side), KEYS (SLOTS
// floor(4 / HEADS)), GROUP_SIZE (n_heads / n_kv_heads), N_HEADS, HEAD_DIM4 (head_dim / 4), ROTARY_DIM4 (rotary_dim / 4),
// PARTS (ceil(HEAD_DIM4 / 8)), STRIPS (the largest power of two up to 8 SLOTS / HEAD_DIM4, at most 64), HAS_HADAMARD,
// STAGES (log2 of a Hadamard block's quads), LANES (at least 4 SLOTS and (HEADS + 2) * HEAD_DIM4, which is at most
// 8 SLOTS).
// Joined after exchange_memory, hadamard, rope and online_softmax of shared/, and kv_read_*, kv_write_* and
// kv_elements or kv_groups of formats/.

struct Params {
  n_splits: u32,  // for the host: the real number follows from state
  capacity: u32,  // rows of the cache, a ring: position p is in row p mod capacity
  scale: f32,  // of the scores, times log2(e)
  window: u32,  // keys that a token sees, its own included
  row: u32,  // of the token in qkv
}

@group(0) @binding(0) var<storage, read> qkv: array<vec2f>;  // (row + 1, N_HEADS + 2 N_KV_HEADS, head_dim)
@group(0) @binding(1) var<storage, read_write> k: array<KvWord>;  // (N_KV_HEADS, capacity, head_dim)
@group(0) @binding(2) var<storage, read_write> v: array<KvWord>;  // (N_KV_HEADS, capacity, head_dim)
@group(0) @binding(3) var<storage, read> table: array<vec4f>;  // (n_positions, rotary_dim / 2, 2)
@group(0) @binding(4) var<storage, read> state: array<u32>;  // (8): [0] position of the token
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;  // (n_splits, N_HEADS, head_dim + 4): out, max, sum
@group(0) @binding(6) var<uniform> params: Params;

const N_KV_HEADS = N_HEADS / GROUP_SIZE;
const PITCH = KEYS + 4u;  // of the scores of one part: invocations of a subgroup reach different banks

var<workgroup> dots: array<f32, HEADS * 8u * PITCH>;  // (HEADS, 8, KEYS): parts of the scores
var<workgroup> weights: array<f32, HEADS * SPLIT>;  // (HEADS, SPLIT): scores, then weights
var<workgroup> own_weights: array<f32, HEADS>;  // of the token's own key
var<workgroup> summary: array<f32, HEADS * KEYS>;  // (HEADS, KEYS): maxima or sums of every KEYS-th key
var<workgroup> eighths: array<f32, HEADS * 8u>;  // (HEADS, 8): maxima or sums of an eighth of them
// `offered` also holds, in turn: rows of the queries, the own key and the own value (HEADS + 2, head_dim); output of one
// head (STRIPS, head_dim).

// The row of a key after the first, in its head's ring. Keys past the last one may never have been written: the last one
// stands in.
fn row_of(key: u32, first_slot: u32, count: u32) -> u32 {
  let at = first_slot + min(key, count - 1u);
  return min(at, at - params.capacity);  // where it is smaller, the difference is none
}

@compute @workgroup_size(8u * SLOTS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let position = state[0];
  let oldest = max(position + 1u, params.window) - params.window;
  let begin = (oldest / SPLIT + group.y) * SPLIT;
  if (begin > position) {
    return;
  }
  let has_own_key = position - begin < SPLIT;
  let first_key = max(begin, oldest);
  let count = min(begin + SPLIT, position) - first_key;  // of the keys that are in the cache
  let first_head = group.x * HEADS;
  let kv_head = first_head / GROUP_SIZE;
  let kv_row = kv_head * params.capacity;
  let first_slot = first_key % params.capacity;
  let part = lane % 8u;
  let slot = lane / 8u;
  let d = lane % HEAD_DIM4;
  let strip = lane / HEAD_DIM4;

  // A lane makes one quad of the rows: of the queries, and, where they are wanted, of the key and the value.
  let is_key = strip == HEADS;
  let n_rows = select(HEADS, HEADS + 2u, has_own_key);
  var x: vec4f;
  if (strip < n_rows) {
    let head = select(N_HEADS + kv_head + select(0u, N_KV_HEADS, strip > HEADS), first_head + strip, strip < HEADS);
    let first = (params.row * (N_HEADS + 2u * N_KV_HEADS) + head) * 2u * HEAD_DIM4;
    for (var i = 0; i < 2; i++) { // @unroll
      let unit = 2u * d + i;
      var pair = qkv[first + unit];
      if (strip <= HEADS) {
        pair = turned(pair, qkv[first + partner_of(unit)], turn_of(unit, position));
      }
      x[2u * i] = pair.x;
      x[2u * i + 1u] = pair.y;
    }
  }
  if (HAS_HADAMARD) {
    x = hadamard(x, lane);
  }
  if (has_own_key) {
    let first = lane - d + d / 8u * 8u;
    let stored = stored_quad(x, d, lane, first, min(first + 7u, lane - d + HEAD_DIM4 - 1u));
    let bound = vec4f(stored.bound);
    offer(bound, lane, STAGES + 3u);
    if (strip == HEADS || strip == HEADS + 1u) {
      x = quad_of(stored.word, d, scale_of(stored.bound));
      if (first_head % GROUP_SIZE == 0u) {
        let own_row = kv_row + position % params.capacity;
        if (d % QUADS_OF_WORD == 0u) {
          let at = (own_row * HEAD_DIM4 + d) / QUADS_OF_WORD;
          if (is_key) {
            k[at] = stored.word;
          } else {
            v[at] = stored.word;
          }
        }
        if (d % 16u == 0u) {
          // A scale that no group has is zero.
          let next = select(offered_by(lane + 8u, STAGES + 3u, bound).x, 0.0, d + 8u >= HEAD_DIM4);
          store_bounds(vec2f(stored.bound, next), own_row, d / 16u, is_key);
        }
      }
    }
  }
  // Offers of two turns ago are read no more, and those of the latest by nobody but where m are stored.
  workgroupBarrier();
  offered[lane] = x;
  workgroupBarrier();

  var query: array<array<vec4f, PARTS>, HEADS>;
  for (var h = 0; h < HEADS; h++) { // @unroll
    for (var j = 0; j < PARTS; j++) { // @unroll
      if (part + 8u * j < HEAD_DIM4) {
        query[h][j] = offered[h * HEAD_DIM4 + part + 8u * j] * params.scale;
      }
    }
  }
  // Lanes below HEADS * KEYS each own one key in KEYS of one head.
  let owner = lane < HEADS * KEYS;
  let own_head = lane / KEYS;
  let own_key = lane % KEYS;

  var highest = LOWEST;
  for (var first = 0u; first < count; first += KEYS) {
    for (var key = 0; key < KEYS; key += SLOTS) { // @unroll
      let row = kv_row + row_of(first + key + slot, first_slot, count);
      var sum: array<f32, HEADS>;
      for (var h = 0; h < HEADS; h++) { // @unroll
        sum[h] = 0.0;  // naga does not clear a variable that a loop declares again
      }
      for (var j = 0; j < PARTS; j++) { // @unroll
        // Parts past the head's end have queries of zeros.
        let quad = select(min(part + 8u * j, HEAD_DIM4 - 1u), part + 8u * j, 8u * j + 8u <= HEAD_DIM4);
        let value = key_quad(row * HEAD_DIM4, quad, key_scales(row, j / 2u)[j % 2u]);
        for (var h = 0; h < HEADS; h++) { // @unroll
          sum[h] += dot(query[h][j], value);
        }
      }
      for (var h = 0; h < HEADS; h++) { // @unroll
        dots[(h * 8u + part) * PITCH + key + slot] = sum[h];
      }
    }
    workgroupBarrier();
    if (owner) {
      var score = 0.0;
      for (var i = 0; i < 8; i++) { // @unroll
        score += dots[(own_head * 8u + i) * PITCH + own_key];
      }
      score = select(LOWEST, score, first + own_key < count);
      weights[own_head * SPLIT + first + own_key] = score;
      highest = max(highest, score);
    }
    workgroupBarrier();
  }

  if (has_own_key) {
    if (slot == 0u) {
      for (var h = 0; h < HEADS; h++) { // @unroll
        var sum = 0.0;
        for (var j = 0; j < PARTS; j++) { // @unroll
          sum += dot(query[h][j], offered[HEADS * HEAD_DIM4 + min(part + 8u * j, HEAD_DIM4 - 1u)]);
        }
        dots[(h * 8u + part) * PITCH] = sum;
      }
    }
    workgroupBarrier();
    if (owner && own_key == 0u) {
      var score = 0.0;
      for (var i = 0; i < 8; i++) { // @unroll
        score += dots[(own_head * 8u + i) * PITCH];
      }
      own_weights[own_head] = score;
      highest = max(highest, score);
    }
  }

  if (owner) {
    summary[lane] = highest;
  }
  workgroupBarrier();
  if (lane < HEADS * 8u) {
    highest = LOWEST;
    for (var i = 0; i < KEYS; i += 8) { // @unroll
      highest = max(highest, summary[lane / 8u * KEYS + lane % 8u + i]);
    }
    eighths[lane] = highest;
  }
  workgroupBarrier();
  var head_max: array<f32, HEADS>;
  for (var h = 0; h < HEADS; h++) { // @unroll
    head_max[h] = LOWEST;
    for (var i = 0; i < 8; i++) { // @unroll
      head_max[h] = max(head_max[h], eighths[h * 8u + i]);
    }
  }
  if (owner) {
    var own_max = head_max[0];
    for (var h = 1; h < HEADS; h++) { // @unroll
      own_max = select(own_max, head_max[h], own_head == h);
    }
    var sum = 0.0;
    if (has_own_key && own_key == 0u) {
      sum = weight_of(own_weights[own_head], own_max);
      own_weights[own_head] = sum;
    }
    for (var i = own_key; i < SPLIT; i += KEYS) {
      let weight = select(0.0, weight_of(weights[own_head * SPLIT + i], own_max), i < count);
      weights[own_head * SPLIT + i] = weight;
      sum += weight;
    }
    summary[lane] = sum;
  }
  workgroupBarrier();
  if (lane < HEADS * 8u) {
    var sum = 0.0;
    for (var i = 0; i < KEYS; i += 8) { // @unroll
      sum += summary[lane / 8u * KEYS + lane % 8u + i];
    }
    eighths[lane] = sum;
  }

  var acc: array<vec4f, HEADS>;
  if (strip < STRIPS) {
    for (var first = strip; first < count; first += 4u * STRIPS) {
      for (var i = 0; i < 4; i++) { // @unroll
        let key = first + STRIPS * i;
        let row = kv_row + row_of(key, first_slot, count);
        let value = value_quad(row * HEAD_DIM4, d, value_scales(row, d / 16u)[d / 8u % 2u]);
        for (var h = 0; h < HEADS; h++) { // @unroll
          acc[h] += weights[h * SPLIT + key] * value;
        }
      }
    }
    if (has_own_key && strip == 0u) {
      for (var h = 0; h < HEADS; h++) { // @unroll
        acc[h] += own_weights[h] * offered[(HEADS + 1u) * HEAD_DIM4 + d];
      }
    }
  }
  workgroupBarrier();
  for (var h = 0; h < HEADS; h++) { // @unroll
    let row = (group.y * N_HEADS + first_head + h) * (HEAD_DIM4 + 1u);
    offered[lane] = acc[h];
    workgroupBarrier();
    if (lane < HEAD_DIM4) {
      var sum = vec4f(0.0);
      for (var i = 0u; i < STRIPS; i++) {
        sum += offered[i * HEAD_DIM4 + lane];
      }
      partials[row + lane] = sum;
    }
    if (lane == 0u) {
      var sum = 0.0;
      for (var i = 0; i < 8; i++) { // @unroll
        sum += eighths[h * 8u + i];
      }
      partials[row + HEAD_DIM4] = vec4f(head_max[h], sum, 0.0, 0.0);
    }
    workgroupBarrier();
  }
}
