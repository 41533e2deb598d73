// Marks tokens as seen, for the repetition penalty.
//
//   seen[tokens[i]] = 1, one bit an id
//
// Grid: one workgroup of 64 invocations for 64 tokens.

struct Params {
  n_tokens: u32,
}

@group(0) @binding(0) var<storage, read> tokens: array<u32>;  // (n_tokens)
@group(0) @binding(1) var<storage, read_write> seen: array<atomic<u32>>;  // (vocab_size / 32) of 32 bits, id 0 lowest
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  if (invocation.x < params.n_tokens) {
    let id = tokens[invocation.x];
    atomicOr(&seen[id / 32u], 1u << (id % 32u));
  }
}
