// Penalties on the logits of tokens that are in the text, in place.
//
//   repetition (CTRL, Keskar et al., 2019, section 4.1), where the token is in prompt or output:
//     logits[i] = logits[i] > 0 ? logits[i] / repetition : logits[i] * repetition
//   presence and frequency (the OpenAI API), where the output has the token c > 0 times:
//     logits[i] = logits[i] - presence - frequency * c
//
// The result is kept within the f32 range, so that a finite logit stays finite; any other is left alone.
//
// Grid: one workgroup of 256 invocations for 4096 logits.
// Joined after shared/order.wgsl.

struct Params {
  vocab_size: u32,
  repetition: f32,
  presence: f32,
  frequency: f32,
}

@group(0) @binding(0) var<storage, read> counts: array<u32>;  // (vocab_size): times in the output; highest bit: in the prompt
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // (vocab_size)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * 4096u;
  let end = min(first + 4096u, params.vocab_size);
  for (var i = first + lane; i < end; i += 256u) {
    let count = counts[i];
    if (count != 0u) {
      let logit = logits[i];
      if (order_key(bitcast<u32>(logit)) != NOT_FINITE) {
        let times = f32(count & 0x7fffffffu);
        let repeated = select(logit * params.repetition, logit / params.repetition, logit > 0.0);
        let offset = select(0.0, params.presence, times > 0.0) + params.frequency * times;
        logits[i] = clamp(clamp(repeated, -3.4e38, 3.4e38) - offset, -3.4e38, 3.4e38);
      }
    }
  }
}
