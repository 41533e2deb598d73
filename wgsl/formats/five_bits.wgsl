// Loads of 5-bit formats: a group's nibbles, and the word of its fifth bits, which the format's `high_word` finds.
// After shared/codes.wgsl.

struct Load {
  low: vec4u,
  high: u32,
}

// Load number `at` of a row: that of group `at`.
fn load_weights(row: u32, at: u32, groups: u32) -> Load {
  return Load(weight[row * groups + at], high_word(row, at, groups));
}

// Weights 4j..4j+3 of one load, still to be scaled.
fn quad(load: Load, j: u32) -> vec4f {
  return vec4f(unpack4xU8(codes5(load.low, load.high, j)));
}
