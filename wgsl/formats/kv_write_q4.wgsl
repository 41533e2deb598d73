// Storing keys and values in q4: 4 bits, eight to a u32, and one f16 m to a group of 32 elements of a rotated row.
//
//   H x = m / -8 * (code - 8),   m near the group's element of largest magnitude, with its sign
//
// Of four m, that which leaves the smallest squared error is taken: it is a tenth less on average, and far less where
// channels that all keys have in common make a group uneven.
//
// H is the Hadamard matrix of shared/hadamard.wgsl. It spreads what single channels have too much of, so that 16 levels
// do: without it some models lose a tenth of their perplexity. Dot products of rotated rows are those of the rows.
//
// What is left is the error of keys: on SmolLM2-135M at 2,048 tokens, where q4 costs 3% of perplexity, the divergence of
// the next token is 0.040 nats from keys and 0.004 from values. Simulated for keys, to bring it under 0.01: a minimum
// beside the scale gives 0.038, channel pairs scaled against the queries' 0.037, groups of 16 0.031, keys less their
// mean 0.026, the last three together 0.021. Only bits do: 5 give 0.012, 6 with values of 4 together 0.007; but 6 take
// 22% more memory, and Llama-2-7B at 65,536 tokens no longer fits in 15 GB.
//
// The low nibble of byte b is element b of an even quad, the high nibble that of the odd quad after it.

const QUADS_OF_WORD = 2u;
const SEARCHES = true;

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
