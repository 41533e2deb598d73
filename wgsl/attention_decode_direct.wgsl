// Attention of one token, split over its keys (Flash-Decoding; Dao et al., 2023), for software adapters. Rotates the
// token's query and key, and writes its key and value into the cache.
//
//   partial_max = max_p s_p,  partial_sum = sum_p 2^(s_p - partial_max),  partial_out = sum_p 2^(s_p - partial_max) v_p
//   with s_p = log2(e) * scale * q . k_p   over the keys p of one split
//
// for HEADS query heads of one KV head at once, so that each key and value is read once. A workgroup is one subgroup of
// 8 lanes: for the scores a lane is a key, for the output it is a quad of the head. What all lanes need is broadcast
// from the lane that loaded it, because such an adapter makes 8 loads of a load from one address.
//
// Every workgroup rotates its own queries: a hundredth of its work. Those whose split has the token's own key make its
// row, attend to it as it is stored, and leave writing it to the first of them; so no row is read while it is written.
//
// With WHOLE there is one split, and partial_out / partial_sum, transformed back as attention_merge does it, is the
// output: to the bit what a merge gives, and a third of the time of both saved.
//
// Grid: x = KV heads times GROUP_SIZE / HEADS, y = splits of SPLIT keys, from the one that holds the window's first key.
// The host sizes y by a bound of the length; the real length is read from state, and splits past it end at once.
// Where keys of the window may lie past the ring's end, capacity is a multiple of 8, so that a tile is one run of rows.
// Prelude: WHOLE, SPLIT, HEADS, GROUP_SIZE (n_heads / n_kv_heads), N_HEADS, HEAD_DIM4 (head_dim / 4), ROTARY_DIM4
// (rotary_dim / 4), PARTS (ceil(HEAD_DIM4 / 8)), SCALE_PAIRS (ceil(head_dim / 64)), HAS_HADAMARD, STAGES (log2 of a
// Hadamard block's quads, at most 3 between lanes and the rest between parts), LANE_STAGES.
// Joined after exchange_subgroup, hadamard, rope and online_softmax of shared/, and kv_read_*, kv_write_* and
// kv_elements or kv_groups of formats/.

struct Params {
  n_splits: u32,  // for the host: the real number follows from state
  capacity: u32,  // rows of the cache, a ring: position p is in row p mod capacity
  scale: f32,  // of the scores, times log2(e)
  window: u32,  // keys that a token sees, its own included
  row: u32,  // of the token in qkv, and with WHOLE in out
}

@group(0) @binding(0) var<storage, read> qkv: array<vec2f>;  // (row + 1, N_HEADS + 2 N_KV_HEADS, head_dim)
@group(0) @binding(1) var<storage, read_write> k: array<KvWord>;  // (N_KV_HEADS, capacity, head_dim)
@group(0) @binding(2) var<storage, read_write> v: array<KvWord>;  // (N_KV_HEADS, capacity, head_dim)
@group(0) @binding(3) var<storage, read> table: array<vec4f>;  // (n_positions, rotary_dim / 2, 2)
@group(0) @binding(4) var<storage, read> state: array<u32>;  // (8): [0] position of the token
// (n_splits, N_HEADS, head_dim + 4): out, max, sum; with WHOLE the output itself, (row + 1, N_HEADS, head_dim)
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(6) var<uniform> params: Params;

const N_KV_HEADS = N_HEADS / GROUP_SIZE;

fn max_of_lanes(value: f32) -> f32 {
  let a = max(subgroupBroadcast(value, 0u), subgroupBroadcast(value, 1u));
  let b = max(subgroupBroadcast(value, 2u), subgroupBroadcast(value, 3u));
  let c = max(subgroupBroadcast(value, 4u), subgroupBroadcast(value, 5u));
  let d = max(subgroupBroadcast(value, 6u), subgroupBroadcast(value, 7u));
  return max(max(a, b), max(c, d));
}

fn sum_of_lanes(value: f32) -> f32 {
  var sum = 0.0;
  for (var i = 0; i < 8; i++) { // @unroll
    sum += subgroupBroadcast(value, i);
  }
  return sum;
}

// What is stored in place of a row, of which part j is in lane l quad l + 8 j.
fn stored_row(x: array<vec4f, PARTS>, lane: u32) -> array<vec4f, PARTS> {
  if (!HAS_HADAMARD) {
    return x;
  }
  var y = x;
  for (var j = 0; j < PARTS; j++) { // @unroll
    y[j] = hadamard_in_quad(y[j]);
    for (var s = 0; s < LANE_STAGES; s++) { // @unroll
      y[j] = hadamard_stage(y[j], lane, s);
    }
  }
  for (var s = 3; s < STAGES; s++) { // @unroll
    let before = y;
    for (var j = 0; j < PARTS; j++) { // @unroll
      y[j] = before[j ^ (1u << (s - 3u))] + select(before[j], -before[j], (j & (1u << (s - 3u))) != 0u);
    }
  }
  for (var j = 0; j < PARTS; j++) { // @unroll
    y[j] /= hadamard_norm();
  }
  return y;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let position = state[0];
  let oldest = max(position + 1u, params.window) - params.window;
  let begin = (oldest / SPLIT + group.y) * SPLIT;
  if (begin > position) {
    return;
  }
  let has_own_key = position - begin < SPLIT;
  let end = min(begin + SPLIT, position);  // of the keys that are in the cache
  let first_head = group.x * HEADS;
  let kv_head = first_head / GROUP_SIZE;
  let kv_row = kv_head * params.capacity;
  let first_row = params.row * (N_HEADS + 2u * N_KV_HEADS);

  // Rows of the queries, of the key and of the value.
  var rows: array<array<vec4f, PARTS>, HEADS + 2u>;
  for (var j = 0; j < PARTS; j++) { // @unroll
    for (var i = 0; i < 2; i++) { // @unroll
      let unit = 2u * min(lane + 8u * j, HEAD_DIM4 - 1u) + i;
      let partner = partner_of(unit);
      let turn = turn_of(unit, position);
      for (var h = 0; h < HEADS; h++) { // @unroll
        let first = (first_row + first_head + h) * 2u * HEAD_DIM4;
        let pair = turned(qkv[first + unit], qkv[first + partner], turn);
        rows[h][j][2u * i] = pair.x;
        rows[h][j][2u * i + 1u] = pair.y;
      }
      if (has_own_key) {
        let first = (first_row + N_HEADS + kv_head) * 2u * HEAD_DIM4;
        let pair = turned(qkv[first + unit], qkv[first + partner], turn);
        rows[HEADS][j][2u * i] = pair.x;
        rows[HEADS][j][2u * i + 1u] = pair.y;
        let value = qkv[first + N_KV_HEADS * 2u * HEAD_DIM4 + unit];
        rows[HEADS + 1u][j][2u * i] = value.x;
        rows[HEADS + 1u][j][2u * i + 1u] = value.y;
      }
    }
  }
  var query: array<array<vec4f, PARTS>, HEADS>;
  var acc: array<array<vec4f, PARTS>, HEADS>;
  var row_max: array<f32, HEADS>;
  var row_sum: array<f32, HEADS>;  // of the keys that this lane had
  for (var h = 0; h < HEADS; h++) { // @unroll
    row_max[h] = LOWEST;
    query[h] = stored_row(rows[h], lane);
    for (var j = 0; j < PARTS; j++) { // @unroll
      query[h][j] *= params.scale;
    }
  }
  if (has_own_key) {
    let slot = kv_row + position % params.capacity;
    let writes = first_head % GROUP_SIZE == 0u;
    for (var i = 0; i < 2; i++) { // @unroll
      let is_key = i == 0u;
      rows[HEADS + i] = stored_row(rows[HEADS + i], lane);
      var bounds: array<f32, 2u * SCALE_PAIRS>;  // a scale that no group has is zero
      for (var j = 0; j < PARTS; j++) { // @unroll
        let d = lane + 8u * j;
        let stored = stored_quad(rows[HEADS + i][j], d, lane, 0u, min(7u, HEAD_DIM4 - 1u - 8u * j));
        if (writes && d < HEAD_DIM4 && d % QUADS_OF_WORD == 0u) {
          let at = (slot * HEAD_DIM4 + d) / QUADS_OF_WORD;
          if (is_key) {
            k[at] = stored.word;
          } else {
            v[at] = stored.word;
          }
        }
        bounds[j] = stored.bound;
        rows[HEADS + i][j] = quad_of(stored.word, d, scale_of(stored.bound));
      }
      if (writes && lane == 0u) {
        for (var pair = 0; pair < SCALE_PAIRS; pair++) { // @unroll
          store_bounds(vec2f(bounds[2u * pair], bounds[2u * pair + 1u]), slot, pair, is_key);
        }
      }
    }
    for (var h = 0; h < HEADS; h++) { // @unroll
      var score = 0.0;
      for (var j = 0; j < PARTS; j++) { // @unroll
        score += select(0.0, dot(query[h][j], rows[HEADS][j]), lane + 8u * j < HEAD_DIM4);
      }
      row_max[h] = sum_of_lanes(score);
      row_sum[h] = select(0.0, 1.0, lane == 0u);
      acc[h] = rows[HEADS + 1u];
    }
  }

  let first_tile = max(begin, oldest / 8u * 8u);
  var lap = first_tile / params.capacity * params.capacity;  // position in row 0
  for (var tile = first_tile; tile < end; tile += 8u) {
    lap += select(0u, params.capacity, tile - lap >= params.capacity);
    let tile_row = kv_row + tile - lap;
    let last = end - 1u - tile;
    // Keys past the last one may never have been written: the last one stands in, and the mask drops it.
    let key = tile_row + min(lane, last);
    var scales: array<array<vec2f, SCALE_PAIRS>, 2>;  // of the lane's key, and of its value
    for (var i = 0; i < SCALE_PAIRS; i++) { // @unroll
      scales[0][i] = key_scales(key, i);
      scales[1][i] = value_scales(key, i);
    }
    var score: array<f32, HEADS>;
    for (var h = 0; h < HEADS; h++) { // @unroll
      score[h] = 0.0;
    }
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      let quad = key_quad(key * HEAD_DIM4, d, scales[0][d / 16u][d / 8u % 2u]);
      for (var h = 0; h < HEADS; h++) { // @unroll
        let part = subgroupBroadcast(query[h][d / 8u], d % 8u);
        score[h] = fma(part.x, quad.x, score[h]);
        score[h] = fma(part.y, quad.y, score[h]);
        score[h] = fma(part.z, quad.z, score[h]);
        score[h] = fma(part.w, quad.w, score[h]);
      }
    }
    for (var h = 0; h < HEADS; h++) { // @unroll
      score[h] = select(LOWEST, score[h], tile + lane < end && tile + lane >= oldest);
      let highest = max(row_max[h], max_of_lanes(score[h]));
      let rescale = rescale_of(row_max[h], highest);
      row_max[h] = highest;
      score[h] = weight_of(score[h], highest);
      row_sum[h] = row_sum[h] * rescale + score[h];
      for (var j = 0; j < PARTS; j++) { // @unroll
        acc[h][j] *= rescale;
      }
    }
    for (var i = 0; i < 8; i++) { // @unroll
      let row = (tile_row + min(i, last)) * HEAD_DIM4;
      for (var j = 0; j < PARTS; j++) { // @unroll
        let scale = subgroupBroadcast(scales[1][j / 2u][j % 2u], i);
        let value = value_quad(row, min(lane + 8u * j, HEAD_DIM4 - 1u), scale);
        for (var h = 0; h < HEADS; h++) { // @unroll
          acc[h][j] = fma(vec4f(subgroupBroadcast(score[h], i)), value, acc[h][j]);
        }
      }
    }
  }

  for (var h = 0; h < HEADS; h++) { // @unroll
    let sum = sum_of_lanes(row_sum[h]);
    if (WHOLE) {
      for (var j = 0; j < PARTS; j++) { // @unroll
        acc[h][j] /= sum;
      }
      acc[h] = stored_row(acc[h], lane);
    }
    let head = select(group.y, params.row, WHOLE) * N_HEADS + first_head + h;
    let row = head * (HEAD_DIM4 + select(1u, 0u, WHOLE));
    for (var j = 0; j < PARTS; j++) { // @unroll
      if (lane + 8u * j < HEAD_DIM4) {
        partials[row + lane + 8u * j] = acc[h][j];
      }
    }
    if (!WHOLE && lane == 0u) {
      partials[row + HEAD_DIM4] = vec4f(row_max[h], sum, 0.0, 0.0);
    }
  }
}
