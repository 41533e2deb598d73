// Log-probabilities of the selected token and of the likeliest ones, the second half: one row a token.
//
//   m = max_g m_g, z = m + ln(sum_g s_g exp(m_g - m)) over the sums of top_logprobs.wgsl
//   row = [copied[token] - z, then for each rank: id, logit - z]   at index (count - 1) mod capacity
//
// It runs after advance.wgsl, which has counted the token. A rank that the vocabulary does not fill has the id
// 0xffffffff.
//
// Grid: one workgroup of 64 invocations.
// Joined after shared/order.wgsl.
//
// Loops begin at `zero`, which is 0 and not known to be: where params alone bound the loops of a short kernel, Mesa's
// lavapipe puts their values into its code, and compiles it anew for every dispatch, which takes 5 ms.

struct Params {
  n_stretches: u32,
  n_top: u32,
  capacity: u32,
}

@group(0) @binding(0) var<storage, read> candidates: array<vec2u>;  // (n_stretches, n_top) of (key, id)
@group(0) @binding(1) var<storage, read> sums: array<vec2u>;  // (n_stretches) of (key, bits of f32)
@group(0) @binding(2) var<storage, read> copied: array<u32>;  // (vocab_size), bits of f32
@group(0) @binding(3) var<storage, read> token: array<u32>;  // (1)
@group(0) @binding(4) var<storage, read> state: array<u32>;  // (8): position, done, count
@group(0) @binding(5) var<storage, read_write> rows: array<u32>;  // (capacity, 1 + 2 n_top), bits of f32 and ids
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> largest_key: atomic<u32>;
var<workgroup> lowest_id: atomic<u32>;  // complement of the id

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let zero = group.x;
  var top_key = 0u;
  for (var g = zero; g < params.n_stretches; g++) {
    top_key = max(top_key, sums[g].x);
  }
  let largest = bitcast<f32>(key_bits(top_key));
  var sum = 0.0;
  for (var g = zero; g < params.n_stretches; g++) {
    sum += bitcast<f32>(sums[g].y) * exp(bitcast<f32>(key_bits(sums[g].x)) - largest);
  }
  let log_sum = log(sum);
  let row = ((state[2] - 1u) % params.capacity) * (1u + 2u * params.n_top);
  if (lane == 0u) {
    rows[row] = bitcast<u32>(bitcast<f32>(copied[token[0]]) - largest - log_sum);
  }

  let n = params.n_stretches * params.n_top;
  var last_key = 0xffffffffu;
  var last_id = 0u;
  for (var rank = zero; rank < params.n_top; rank++) {
    var key = 0u;
    var id = 0u;
    for (var i = lane; i < n; i += 64u) {
      let candidate = candidates[i];
      let is_after = candidate.x < last_key || (candidate.x == last_key && candidate.y > last_id);
      let is_better = candidate.x > key || (candidate.x == key && candidate.y < id);
      if (is_after && is_better) {
        key = candidate.x;
        id = candidate.y;
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      atomicStore(&largest_key, 0u);
      atomicStore(&lowest_id, 0u);
    }
    workgroupBarrier();
    atomicMax(&largest_key, key);
    workgroupBarrier();
    last_key = atomicLoad(&largest_key);
    if (key == last_key) {
      atomicMax(&lowest_id, ~id);
    }
    workgroupBarrier();
    last_id = ~atomicLoad(&lowest_id);
    if (lane == 0u) {
      let logprob = bitcast<f32>(key_bits(last_key)) - largest - log_sum;
      rows[row + 1u + 2u * rank] = select(last_id, 0xffffffffu, last_key == 0u);
      rows[row + 2u + 2u * rank] = bitcast<u32>(logprob);
    }
  }
}
