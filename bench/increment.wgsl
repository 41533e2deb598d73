// Adds one: a dispatch with nothing to do, whose successor has to wait for it. What a row of them takes is what
// launching costs.
//
// Grid: one workgroup of one invocation.

@group(0) @binding(0) var<storage, read_write> count: array<u32>;  // (1)

@compute @workgroup_size(1)
fn main() {
  count[0] += 1u;
}
