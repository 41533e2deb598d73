// The gate of a gated MLP (Shazeer, 2020: SwiGLU).
//
//   out[t][i] = silu(gate[t][i]) * up[t][i],  silu(a) = a / (1 + exp(-a))
//
// Grid: ceil(n4 / 64) workgroups of 64 invocations, laid out in rows of at most 32768.
// Prelude: none.

struct Params {
  n4: u32,  // vec4s of out
  dim4: u32,  // intermediate size / 4
}

@group(0) @binding(0) var<storage, read> gate_up: array<vec4f>;  // (n_tokens, 2, dim), gate then up
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;  // (n_tokens, dim)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 32768u + group.x) * 64u + lane;
  if (i < params.n4) {
    let token = i / params.dim4;
    let gate = gate_up[i + token * params.dim4];
    let up = gate_up[i + (token + 1u) * params.dim4];
    // Beyond 87 exp overflows to infinity, whose quotient some adapters do not promise to be zero.
    out[i] = gate / (1.0 + exp(min(-gate, vec4f(87.0)))) * up;
  }
}
