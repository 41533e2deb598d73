// What invocations of a workgroup hand to each other, where it is one subgroup. See exchange_memory.
// Prelude: none of its own.

fn offer(value: vec4f, lane: u32, turn: u32) {}

fn offered_by(lane: u32, turn: u32, own: vec4f) -> vec4f {
  return subgroupShuffle(own, lane);
}
