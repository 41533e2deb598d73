// Root mean square normalisation of each query and key head, in place (Qwen3's QK norm).
//
//   qkv[t][h][i] = weight[s][i] * qkv[t][h][i] / sqrt(mean_i(qkv[t][h][i]^2) + eps),  s = 0 for queries, 1 for keys
//
// Values, the last N_KV_HEADS heads of a token, stay as they are.
//
// Grid: x = blocks of 8 heads, y = tokens. 8 neighbouring invocations share a head.
// Prelude: N_HEADS, N_KV_HEADS, HEAD_DIM (a multiple of 4), HEAD_DIM4 (HEAD_DIM / 4).

struct Params {
  n_tokens: u32,  // for the host
  eps: f32,
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>;  // (2, HEAD_DIM): of queries, of keys
@group(0) @binding(1) var<storage, read_write> qkv: array<vec4f>;  // (n_tokens, N_HEADS + 2 N_KV_HEADS, HEAD_DIM)
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.x * 8u + lane / 8u;
  let begin = (group.y * (N_HEADS + 2u * N_KV_HEADS) + head) * HEAD_DIM4;
  let is_normed = head < N_HEADS + N_KV_HEADS;
  var sum = 0.0;
  if (is_normed) {
    for (var i = lane % 8u; i < HEAD_DIM4; i += 8u) {
      let value = qkv[begin + i];
      sum += dot(value, value);
    }
  }
  partial[lane] = sum;
  workgroupBarrier();
  if (is_normed) {
    sum = 0.0;
    for (var i = 0; i < 8; i++) { // @unroll
      sum += partial[lane / 8u * 8u + i];
    }
    let scale = 1.0 / sqrt(sum / f32(HEAD_DIM) + params.eps);
    let gain = select(HEAD_DIM4, 0u, head < N_HEADS);
    for (var i = lane % 8u; i < HEAD_DIM4; i += 8u) {
      qkv[begin + i] = weight[gain + i] * (qkv[begin + i] * scale);
    }
  }
}
