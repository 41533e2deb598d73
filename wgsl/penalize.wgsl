// Repetition penalty of CTRL (Keskar et al., 2019, section 4.1) on the logits of seen tokens, in place.
//
//   logits[i] = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty    where seen[i]
//
// The result is kept within the f32 range, so that a finite logit stays finite; any other is left alone.
//
// Grid: one workgroup of 64 invocations for 2048 logits; one invocation takes the 32 of one word of `seen`.
// Joined after shared/order.wgsl.

struct Params {
  vocab_size: u32,
  penalty: f32,
}

@group(0) @binding(0) var<storage, read> seen: array<u32>;  // (vocab_size / 32) of 32 bits, id 0 lowest
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // (vocab_size)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  let first = invocation.x * 32u;
  if (first >= params.vocab_size) {
    return;
  }
  // A word is mostly zero, so that its set bits are taken one by one.
  for (var word = seen[invocation.x]; word != 0u; word &= word - 1u) {
    let i = first + firstTrailingBit(word);
    let logit = logits[i];
    if (order_key(bitcast<u32>(logit)) != NOT_FINITE) {
      logits[i] = clamp(select(logit * params.penalty, logit / params.penalty, logit > 0.0), -3.4e38, 3.4e38);
    }
  }
}
