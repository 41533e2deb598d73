// Attention of one token, split over its keys (Flash-Decoding; Dao et al., 2023), for software adapters.
//
//   partial_max = max_p s_p,  partial_sum = sum_p 2^(s_p - partial_max),  partial_out = sum_p 2^(s_p - partial_max) v_p
//   with s_p = log2(e) * scale * q . k_p   over the keys p of one split
//
// for HEADS query heads of one KV head at once, so that each key and value is read once. A workgroup is one subgroup of
// 8 lanes: for the scores a lane is a key, for the output it is a quad of the head. What all lanes need is broadcast
// from the lane that loaded it, because such an adapter makes 8 loads of a load from one address.
//
// Grid: x = KV heads times GROUP_SIZE / HEADS, y = splits of SPLIT keys, from the one that holds the window's first key.
// The host sizes y by a bound of the length; the real length is read from state, and splits past it end at once.
// Where keys of the window may lie past the ring's end, capacity is a multiple of 8, so that a tile is one run of rows.
// Prelude: SPLIT, HEADS, GROUP_SIZE (n_heads / n_kv_heads), N_HEADS, HEAD_DIM4 (head_dim / 4), PARTS
// (ceil(HEAD_DIM4 / 8)), SCALE_PAIRS (ceil(head_dim / 64)).
// Joined after a kv_read_* file of formats/, which binds k and v, and shared/online_softmax.wgsl.

struct Params {
  n_splits: u32,  // for the host: the real number follows from state
  capacity: u32,  // rows of the cache, a ring: position p is in row p mod capacity
  scale: f32,  // of the scores, times log2(e)
  window: u32,  // keys that a token sees, its own included
  q_row: u32,  // row of the token in q
}

@group(0) @binding(0) var<storage, read> q: array<vec4f>;  // (q_row + 1, N_HEADS, head_dim)
@group(0) @binding(3) var<storage, read> state: array<u32>;  // (8): [0] position of the token
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;  // (n_splits, N_HEADS, head_dim + 4): out, max, sum
@group(0) @binding(5) var<uniform> params: Params;

fn max_of_lanes(value: f32) -> f32 {
  let a = max(subgroupBroadcast(value, 0u), subgroupBroadcast(value, 1u));
  let b = max(subgroupBroadcast(value, 2u), subgroupBroadcast(value, 3u));
  let c = max(subgroupBroadcast(value, 4u), subgroupBroadcast(value, 5u));
  let d = max(subgroupBroadcast(value, 6u), subgroupBroadcast(value, 7u));
  return max(max(a, b), max(c, d));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let kv_len = state[0] + 1u;
  let oldest = max(kv_len, params.window) - params.window;
  let begin = (oldest / SPLIT + group.y) * SPLIT;
  if (begin >= kv_len) {
    return;
  }
  let end = min(begin + SPLIT, kv_len);
  let first_head = group.x * HEADS;
  let kv_row = first_head / GROUP_SIZE * params.capacity;

  var query: array<array<vec4f, PARTS>, HEADS>;
  var acc: array<array<vec4f, PARTS>, HEADS>;
  var row_max: array<f32, HEADS>;
  var row_sum: array<f32, HEADS>;  // of the keys that this lane had
  for (var h = 0; h < HEADS; h++) { // @unroll
    row_max[h] = LOWEST;
    for (var j = 0; j < PARTS; j++) { // @unroll
      query[h][j] = q[(params.q_row * N_HEADS + first_head + h) * HEAD_DIM4 + min(lane + 8u * j, HEAD_DIM4 - 1u)] * params.scale;
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
    let row = (group.y * N_HEADS + first_head + h) * (HEAD_DIM4 + 1u);
    for (var j = 0; j < PARTS; j++) { // @unroll
      if (lane + 8u * j < HEAD_DIM4) {
        partials[row + lane + 8u * j] = acc[h][j];
      }
    }
    var sum = 0.0;
    for (var i = 0; i < 8; i++) { // @unroll
      sum += subgroupBroadcast(row_sum[h], i);
    }
    if (lane == 0u) {
      partials[row + HEAD_DIM4] = vec4f(row_max[h], sum, 0.0, 0.0);
    }
  }
}
