// Adds to the logits of some tokens, in place.
//
//   logits[id[i]] = logits[id[i]] + bias[i]
//
// The ids differ from one another. The result is kept within the f32 range; a logit that is not finite is left alone.
//
// Grid: one invocation an entry, in workgroups of 64.
// Joined after shared/order.wgsl.

struct Params {
  n_entries: u32,
}

@group(0) @binding(0) var<storage, read> entries: array<vec2u>;  // (n_entries) of (id, bits of the f32 bias)
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // (vocab_size)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  if (invocation.x >= params.n_entries) {
    return;
  }
  let entry = entries[invocation.x];
  let logit = logits[entry.x];
  if (order_key(bitcast<u32>(logit)) != NOT_FINITE) {
    logits[entry.x] = clamp(logit + bitcast<f32>(entry.y), -3.4e38, 3.4e38);
  }
}
