// Hadamard transform of rows in place, in blocks of 4 << STAGES elements (shared/hadamard.wgsl): takes attention's
// output over rotated values back.
//
//   y_i = sum_j (-1)^popcount(i & j) x_j / sqrt(block)
//
// Grid: x = rows of a token, y = tokens; a workgroup of HEAD_DIM4 invocations a row.
// Prelude: STAGES (log2(block / 4)), HEAD_DIM4 (head_dim / 4), LANES (HEAD_DIM4).
// Joined after shared/exchange_memory.wgsl and shared/hadamard.wgsl.

@group(0) @binding(0) var<storage, read_write> x: array<vec4f>;  // (token_begin + n_tokens, n_heads, head_dim)
@group(0) @binding(1) var<uniform> params: Params;

struct Params {
  n_tokens: u32,  // for the host
  n_heads: u32,
  token_begin: u32,  // row of token 0
}

@compute @workgroup_size(HEAD_DIM4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = ((params.token_begin + group.y) * params.n_heads + group.x) * HEAD_DIM4 + lane;
  x[at] = hadamard(x[at], lane);
}
