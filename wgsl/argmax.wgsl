// Largest logit of each stretch of the vocabulary, for one or more rows: the first half of an argmax.
//
//   partials[r][g] = (key, id) of max { logits[first_row + r][i] : 4096 g <= i < 4096 (g + 1) }, the lowest id among equals
//
// A NaN or infinite logit has the largest key of all, so that it cannot go unnoticed.
//
// Grid: x = one workgroup of 256 invocations for 4096 logits, y = rows.
// Joined after shared/order.wgsl.

struct Params {
  vocab_size: u32,
  first_row: u32,
  n_rows: u32,  // for the host
}

@group(0) @binding(0) var<storage, read> logits: array<u32>;  // (first_row + n_rows, vocab_size), bits of f32
@group(0) @binding(1) var<storage, read_write> partials: array<vec2u>;  // (n_rows, n_partials) of (key, id)
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> largest_key: atomic<u32>;
var<workgroup> lowest_id: atomic<u32>;  // complement of the id, so that zero is the start and the maximum is wanted

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (params.first_row + group.y) * params.vocab_size;
  let first = group.x * 4096u + lane;
  let last = min(group.x * 4096u + 4095u, params.vocab_size - 1u);
  var key = 0u;
  var id = last;
  for (var i = 0u; i < 4096u; i += 1024u) {
    // Loads come in fours without a branch, so that they overlap; past the end they repeat the last logit.
    for (var j = 0; j < 4; j++) { // @unroll
      let here = min(first + i + j * 256u, last);
      let key_here = order_key(logits[row + here]);
      id = select(id, here, key_here > key);
      key = max(key, key_here);
    }
  }
  atomicMax(&largest_key, key);
  workgroupBarrier();
  let best_key = atomicLoad(&largest_key);
  if (key == best_key) {
    atomicMax(&lowest_id, ~id);
  }
  workgroupBarrier();
  if (lane == 0u) {
    partials[group.y * groups.x + group.x] = vec2u(best_key, ~atomicLoad(&lowest_id));
  }
}
