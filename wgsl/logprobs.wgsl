// Natural logarithm of the probability that a row of logits gives to its target.
//
//   out[r] = logits[r][t] - m - ln(sum_i exp(logits[r][i] - m)), t = targets[r], m = max_i logits[r][i]
//
// A row with a NaN or infinite logit gives NaN.
//
// Grid: one workgroup of 256 invocations a row.
// Joined after shared/order.wgsl.

struct Params {
  n_rows: u32,
  vocab_size: u32,
  first: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<u32>;  // (n_rows, vocab_size), bits of f32
@group(0) @binding(1) var<storage, read> targets: array<u32>;  // (first + n_rows)
@group(0) @binding(2) var<storage, read_write> out: array<u32>;  // (first + n_rows), bits of f32
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> largest_key: atomic<u32>;
var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = group.x * params.vocab_size;
  let last = params.vocab_size - 1u;
  var key = 0u;
  // Loads come in fours without a branch, so that they overlap; past the end they repeat the last logit.
  for (var i = lane; i <= last; i += 1024u) {
    for (var j = 0; j < 4; j++) { // @unroll
      key = max(key, order_key(logits[base + min(i + j * 256u, last)]));
    }
  }
  atomicMax(&largest_key, key);
  workgroupBarrier();
  let best_key = atomicLoad(&largest_key);
  let largest = bitcast<f32>(key_bits(best_key));
  // Two levels of short sums keep the rounding of a long one away.
  var sum = 0.0;
  for (var i = lane; i <= last; i += 1024u) {
    var part = 0.0;
    for (var j = 0; j < 4; j++) { // @unroll
      let id = i + j * 256u;
      let term = exp(bitcast<f32>(logits[base + min(id, last)]) - largest);
      part += select(0.0, term, id <= last);
    }
    sum += part;
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane < 16u) {
    sum = 0.0;
    for (var j = 0; j < 16; j++) { // @unroll
      sum += sums[lane + j * 16u];
    }
    sums[lane] = sum;
  }
  workgroupBarrier();
  if (lane == 0u) {
    sum = 0.0;
    for (var j = 0; j < 16; j++) { // @unroll
      sum += sums[j];
    }
    let row = params.first + group.x;
    let target_logit = bitcast<f32>(logits[base + targets[row]]);
    let result = bitcast<u32>(target_logit - largest - log(sum));
    out[row] = select(result, 0x7fc00000u, best_key == NOT_FINITE);
  }
}
