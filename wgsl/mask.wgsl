// Keeps the logits of tokens that a grammar allows, and puts all others below every finite logit, in place.
//
//   logits[i] = bit i mod 32 of allowed[i / 32] is set ? logits[i] : the lowest f32
//
// A logit that is not finite is left alone, so that the selection finds it.
//
// Grid: one workgroup of 256 invocations for 4096 logits.
// Joined after shared/order.wgsl.

struct Params {
  vocab_size: u32,
}

@group(0) @binding(0) var<storage, read> allowed: array<u32>;  // (ceil(vocab_size / 32)), a bit for each token
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // (vocab_size)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * 4096u;
  let end = min(first + 4096u, params.vocab_size);
  for (var i = first + lane; i < end; i += 256u) {
    let is_allowed = ((allowed[i / 32u] >> (i % 32u)) & 1u) == 1u;
    if (!is_allowed && order_key(bitcast<u32>(logits[i])) != NOT_FINITE) {
      // Penalties and biases end at -3.4e38: what they leave of an allowed token is above this.
      logits[i] = -3.4028234e38;
    }
  }
}
