// Takes the best of the candidates as the next token and moves the sequence on by one step.
//
//   id = argmax(partials); token[0] = id; ring[count mod capacity] = id; counts[id] += 1
//   position += n_tokens; count += 1; done = 1 if id is a stop id
//
// A sequence that is done stays as it is, so that steps submitted too far ahead do no harm. Where a logit was not
// finite, done becomes 2 and nothing else changes.
//
// Grid: one workgroup of 64 invocations.
// Joined after shared/order.wgsl.

struct Params {
  n_partials: u32,
  n_stop_ids: u32,
  ring_capacity: u32,
  n_tokens: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec2u>;  // (n_partials) of (key, id)
@group(0) @binding(1) var<storage, read> stop_ids: array<u32>;  // (n_stop_ids)
@group(0) @binding(2) var<storage, read_write> state: array<u32>;  // (8): position, done, count
@group(0) @binding(3) var<storage, read_write> token: array<u32>;  // (1)
@group(0) @binding(4) var<storage, read_write> ring: array<u32>;  // (ring_capacity)
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;  // (vocab_size)
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> largest_key: atomic<u32>;
var<workgroup> lowest_id: atomic<u32>;  // complement of the id, so that zero is the start and the maximum is wanted
var<workgroup> is_stop: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var key = 0u;
  var id = 0u;
  for (var i = lane; i < params.n_partials; i += 64u) {
    let candidate = partials[i];
    id = select(id, candidate.y, candidate.x > key);
    key = max(key, candidate.x);
  }
  atomicMax(&largest_key, key);
  workgroupBarrier();
  let best_key = atomicLoad(&largest_key);
  if (key == best_key) {
    atomicMax(&lowest_id, ~id);
  }
  workgroupBarrier();
  let best_id = ~atomicLoad(&lowest_id);
  for (var i = lane; i < params.n_stop_ids; i += 64u) {
    if (stop_ids[i] == best_id) {
      atomicStore(&is_stop, 1u);
    }
  }
  workgroupBarrier();
  if (lane != 0u || state[1] != 0u) {
    return;
  }
  if (best_key == NOT_FINITE) {
    state[1] = 2u;
    return;
  }
  token[0] = best_id;
  ring[state[2] % params.ring_capacity] = best_id;
  counts[best_id] += 1u;
  state[0] += params.n_tokens;
  state[1] = atomicLoad(&is_stop);
  state[2] += 1u;
}
