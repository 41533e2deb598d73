// Storing keys and values in q4: 4 bits, eight to a u32, and one f16 m to a group of 32 elements of a rotated row.
//
//   H x = m / -8 * (code - 8),   m near the group's element of largest magnitude, with its sign
//
// Of four m, that which leaves the smallest squared error is taken: it is a tenth less on average, and far less where
// channels that all keys have in common make a group uneven.
//
// H is the Hadamard matrix of shared/hadamard.wgsl. It spreads what single channels have too much of, so that 16 levels
// do: without it some models lose a tenth of their perplexity. Dot products of rotated rows are those of the rows.
// The low nibble of byte b is element b of an even quad, the high nibble that of the odd quad after it.

const QUADS_OF_WORD = 2u;
const SEARCHES = true;

// What is stored of a row in place of it: the rotated row.
fn stored_row(x: vec4f, lane: u32) -> vec4f {
  return hadamard(x, lane);
}

// What the m of a group may be, from its element of largest magnitude, which is 8, 7, 8.5 or 9 steps from zero then.
fn bounds_of(extreme: f32) -> vec4f {
  return extreme * vec4f(1.0, 8.0 / 7.0, 16.0 / 17.0, 8.0 / 9.0);
}

fn step_of(bound: f32) -> f32 {
  return -0.125 * bound;
}

// The nearest values that have a code, in steps.
fn nearest(steps: vec4f) -> vec4f {
  return clamp(round(steps), vec4f(-8.0), vec4f(7.0));
}

// Their codes.
fn codes_of(steps: vec4f, lane: u32) -> u32 {
  return pack4xU8(vec4u(steps + vec4f(8.0))) << (lane % 2u * 4u);
}
