// What invocations of a workgroup hand to each other, by workgroup memory. An offer takes one barrier: `turn` counts
// offers, because only those of two turns in a row are kept apart.
//
// exchange_subgroup has the same functions; there, an invocation needs what it offered itself.
// Prelude: LANES (invocations that offer values, the first of the workgroup).

var<workgroup> offered: array<vec4f, 2u * LANES>;  // (2, LANES)

fn offer(value: vec4f, lane: u32, turn: u32) {
  if (lane < LANES) {
    offered[turn % 2u * LANES + lane] = value;
  }
  workgroupBarrier();
}

fn offered_by(lane: u32, turn: u32, own: vec4f) -> vec4f {
  return offered[turn % 2u * LANES + min(lane, LANES - 1u)];
}
