// Attention of one token, split over its keys (Flash-Decoding; Dao et al., 2023), for software adapters.
//
//   partial_max = max_p s_p,  partial_sum = sum_p 2^(s_p - partial_max),  partial_out = sum_p 2^(s_p - partial_max) v_p
//   with s_p = log2(e) * scale * q . k_p   over the keys p of one split
//
// for HEADS query heads of one KV head at once, so that each key and value is read once. Every lane keeps softmax and
// output of its own keys, every WORKGROUP-th, and the lanes are added up at the end: no other barriers.
//
// Grid: x = KV heads times GROUP_SIZE / HEADS, y = splits of SPLIT keys. The host sizes y by a bound of the length; the
// real length is read from state, and splits past it end at once.
// Prelude: WORKGROUP, KEYS (keys a lane takes at a time), SPLIT, HEADS, GROUP_SIZE (n_heads / n_kv_heads), N_HEADS,
// HEAD_DIM4 (head_dim / 4), WORKGROUP_QUADS (WORKGROUP * HEAD_DIM4).
// Joined after a kv_* file of formats/ and shared/online_softmax.wgsl.

struct Params {
  n_splits: u32,
  capacity: u32,  // tokens that the cache has room for
  scale: f32,  // of the scores, times log2(e)
}

@group(0) @binding(0) var<storage, read> q: array<vec4f>;  // (N_HEADS, head_dim)
@group(0) @binding(1) var<storage, read> k: array<KvQuad>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(2) var<storage, read> v: array<KvQuad>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(3) var<storage, read> state: array<u32>;  // (8): [0] position of the token
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;  // (n_splits, N_HEADS, head_dim + 4): out, max, sum
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> lane_max: array<f32, WORKGROUP>;
var<workgroup> lane_sum: array<f32, WORKGROUP>;
var<workgroup> lane_out: array<vec4f, WORKGROUP_QUADS>;  // (WORKGROUP, head_dim)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.y * SPLIT;
  let kv_len = state[0] + 1u;
  if (begin >= kv_len) {
    return;
  }
  let end = min(begin + SPLIT, kv_len);
  let first_head = group.x * HEADS;
  let kv_row = first_head / GROUP_SIZE * params.capacity;

  var query: array<array<vec4f, HEAD_DIM4>, HEADS>;
  var acc: array<array<vec4f, HEAD_DIM4>, HEADS>;
  var row_max: array<f32, HEADS>;
  var row_sum: array<f32, HEADS>;
  for (var h = 0; h < HEADS; h++) { // @unroll
    row_max[h] = LOWEST;
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      query[h][d] = q[(first_head + h) * HEAD_DIM4 + d] * params.scale;
    }
  }

  for (var key = begin + lane; key < end; key += WORKGROUP * KEYS) {
    var key_row: array<u32, KEYS>;
    var score: array<array<f32, HEADS>, KEYS>;
    for (var i = 0; i < KEYS; i++) { // @unroll
      key_row[i] = (kv_row + min(key + i * WORKGROUP, end - 1u)) * HEAD_DIM4;
      // naga does not clear a variable that a loop declares again.
      for (var h = 0; h < HEADS; h++) { // @unroll
        score[i][h] = 0.0;
      }
    }
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      for (var i = 0; i < KEYS; i++) { // @unroll
        let loaded = quad_of(k[key_row[i] + d]);
        for (var h = 0; h < HEADS; h++) { // @unroll
          score[i][h] = fma(query[h][d].x, loaded.x, score[i][h]);
          score[i][h] = fma(query[h][d].y, loaded.y, score[i][h]);
          score[i][h] = fma(query[h][d].z, loaded.z, score[i][h]);
          score[i][h] = fma(query[h][d].w, loaded.w, score[i][h]);
        }
      }
    }
    for (var h = 0; h < HEADS; h++) { // @unroll
      var highest = row_max[h];
      for (var i = 0; i < KEYS; i++) { // @unroll
        score[i][h] = select(LOWEST, score[i][h], key + i * WORKGROUP < end);
        highest = max(highest, score[i][h]);
      }
      let rescale = rescale_of(row_max[h], highest);
      row_max[h] = highest;
      row_sum[h] *= rescale;
      for (var i = 0; i < KEYS; i++) { // @unroll
        score[i][h] = weight_of(score[i][h], highest);
        row_sum[h] += score[i][h];
      }
      for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
        acc[h][d] *= rescale;
      }
    }
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      for (var i = 0; i < KEYS; i++) { // @unroll
        let loaded = quad_of(v[key_row[i] + d]);
        for (var h = 0; h < HEADS; h++) { // @unroll
          acc[h][d] = fma(vec4f(score[i][h]), loaded, acc[h][d]);
        }
      }
    }
  }

  for (var h = 0; h < HEADS; h++) { // @unroll
    lane_max[lane] = row_max[h];
    workgroupBarrier();
    var highest = LOWEST;
    for (var i = 0; i < WORKGROUP; i++) { // @unroll
      highest = max(highest, lane_max[i]);
    }
    let rescale = rescale_of(row_max[h], highest);
    lane_sum[lane] = row_sum[h] * rescale;
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      lane_out[lane * HEAD_DIM4 + d] = acc[h][d] * rescale;
    }
    workgroupBarrier();
    let row = (group.y * N_HEADS + first_head + h) * (HEAD_DIM4 + 1u);
    for (var d = lane; d < HEAD_DIM4; d += WORKGROUP) {
      var sum = vec4f(0.0);
      for (var i = 0; i < WORKGROUP; i++) { // @unroll
        sum += lane_out[i * HEAD_DIM4 + d];
      }
      partials[row + d] = sum;
    }
    if (lane == 0u) {
      var sum = 0.0;
      for (var i = 0; i < WORKGROUP; i++) { // @unroll
        sum += lane_sum[i];
      }
      partials[row + HEAD_DIM4] = vec4f(highest, sum, 0.0, 0.0);
    }
  }
}
