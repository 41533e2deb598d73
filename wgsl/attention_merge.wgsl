// Puts the splits of attention_decode together.
//
//   out[h] = sum_s 2^(max_s - max) partial_out_s / sum_s 2^(max_s - max) partial_sum_s,   max = max_s max_s
//
// Grid: one workgroup of WORKGROUP invocations a query head. Every invocation adds some quads of the output over all
// splits, in order, so that the result does not depend on how many splits the host made room for.
// Prelude: WORKGROUP, SPLIT (keys of a split), N_HEADS, HEAD_DIM4 (head_dim / 4).
// Joined after shared/online_softmax.wgsl.

struct Params {
  n_splits: u32,  // for the host: the real number follows from state
}

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;  // (n_splits, N_HEADS, head_dim + 4): out, max, sum
@group(0) @binding(1) var<storage, read> state: array<u32>;  // (8): [0] position of the token
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;  // (N_HEADS, head_dim)
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n_splits = state[0] / SPLIT + 1u;
  let row = group.x * (HEAD_DIM4 + 1u);
  let stride = N_HEADS * (HEAD_DIM4 + 1u);
  var highest = LOWEST;
  for (var s = 0u; s < n_splits; s++) {
    highest = max(highest, partials[row + s * stride + HEAD_DIM4].x);
  }
  for (var d = lane; d < HEAD_DIM4; d += WORKGROUP) {
    var acc = vec4f(0.0);
    var sum = 0.0;
    for (var s = 0u; s < n_splits; s++) {
      let tail = partials[row + s * stride + HEAD_DIM4];
      let weight = rescale_of(tail.x, highest);
      sum += weight * tail.y;
      acc += weight * partials[row + s * stride + d];
    }
    out[group.x * HEAD_DIM4 + d] = acc / sum;
  }
}
