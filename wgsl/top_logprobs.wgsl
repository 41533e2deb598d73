// The likeliest tokens of each stretch of the vocabulary and the mass of them all, the first half of
// log-probabilities. It runs on the model's own logits, before penalties change them, and keeps a copy.
//
//   candidates[g][j] = (key, id) of the j-th largest logit i, 4096 g <= i < 4096 (g + 1), the lowest id first among
//     equals; key 0 where the stretch has fewer than j
//   sums[g] = (key of m, sum_i exp(logits[i] - m)), m = max_i logits[i]
//   copied[i] = logits[i]
//
// Grid: one workgroup of 256 invocations for 4096 logits.
// Joined after shared/order.wgsl.

struct Params {
  vocab_size: u32,
  n_top: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<u32>;  // (vocab_size), bits of f32
@group(0) @binding(1) var<storage, read_write> candidates: array<vec2u>;  // (n_stretches, n_top) of (key, id)
@group(0) @binding(2) var<storage, read_write> sums: array<vec2u>;  // (n_stretches) of (key, bits of f32)
@group(0) @binding(3) var<storage, read_write> copied: array<u32>;  // (vocab_size)
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> largest_key: atomic<u32>;
var<workgroup> lowest_id: atomic<u32>;  // complement of the id, so that zero is the start and the maximum is wanted
var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * 4096u + lane;
  var keys: array<u32, 16>;
  var key = 0u;
  for (var j = 0; j < 16; j++) { // @unroll
    let id = first + j * 256u;
    keys[j] = 0u;
    if (id < params.vocab_size) {
      let bits = logits[id];
      copied[id] = bits;
      keys[j] = order_key(bits);
      key = max(key, keys[j]);
    }
  }
  atomicMax(&largest_key, key);
  workgroupBarrier();
  let top_key = atomicLoad(&largest_key);
  let largest = bitcast<f32>(key_bits(top_key));
  var sum = 0.0;
  for (var j = 0; j < 16; j++) { // @unroll
    // An exponential of what is not there would be of any value.
    sum += select(0.0, exp(bitcast<f32>(key_bits(max(keys[j], 1u))) - largest), keys[j] != 0u);
  }
  shares[lane] = sum;
  workgroupBarrier();
  if (lane < 16u) {
    sum = 0.0;
    for (var j = 0; j < 16; j++) { // @unroll
      sum += shares[lane + j * 16u];
    }
    shares[lane] = sum;
  }
  workgroupBarrier();
  if (lane == 0u) {
    sum = 0.0;
    for (var j = 0; j < 16; j++) { // @unroll
      sum += shares[j];
    }
    sums[group.x] = vec2u(top_key, bitcast<u32>(sum));
  }

  for (var rank = 0u; rank < params.n_top; rank++) {
    var id = 0u;
    key = 0u;
    for (var j = 0; j < 16; j++) { // @unroll
      id = select(id, first + j * 256u, keys[j] > key);
      key = max(key, keys[j]);
    }
    workgroupBarrier();
    if (lane == 0u) {
      atomicStore(&largest_key, 0u);
      atomicStore(&lowest_id, 0u);
    }
    workgroupBarrier();
    atomicMax(&largest_key, key);
    workgroupBarrier();
    let best_key = atomicLoad(&largest_key);
    if (key == best_key) {
      atomicMax(&lowest_id, ~id);
    }
    workgroupBarrier();
    let best_id = ~atomicLoad(&lowest_id);
    if (lane == 0u) {
      candidates[group.x * params.n_top + rank] = vec2u(best_key, best_id);
    }
    for (var j = 0; j < 16; j++) { // @unroll
      keys[j] = select(keys[j], 0u, first + j * 256u == best_id);
    }
  }
}
