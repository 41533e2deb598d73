// Storing keys and values in q4: 4 bits, eight to a u32, and one f16 m to a group of 32 elements of a rotated row.
//
//   H x = m / -8 * (code - 8),   m = the element of the group with the largest magnitude, with its sign
//
// H is the Hadamard matrix of shared/hadamard.wgsl. It spreads what single channels have too much of, so that 16 levels
// do: without it some models lose a tenth of their perplexity. Dot products of rotated rows are those of the rows.
// The low nibble of byte b is element b of an even quad, the high nibble that of the odd quad after it.

const QUADS_OF_WORD = 2u;

// What is stored of a row in place of it: the rotated row.
fn stored_row(x: vec4f, lane: u32) -> vec4f {
  return hadamard(x, lane);
}

// The m of a group, from its element of largest magnitude.
fn bound_of(extreme: f32) -> f32 {
  return extreme;
}

fn step_of(bound: f32) -> f32 {
  return -0.125 * bound;
}

// The codes of the elements of one quad, given in steps.
fn codes_of(steps: vec4f, lane: u32) -> u32 {
  let codes = vec4u(clamp(round(steps) + vec4f(8.0), vec4f(0.0), vec4f(15.0)));
  return pack4xU8(codes) << (lane % 2u * 4u);
}
