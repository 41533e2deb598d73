// Storing keys and values in q8: int8, four to a u32, and one f16 m to a group of 32 elements of a row.
//
//   x = m / 127 * code,   m = max |x| of the group

const QUADS_OF_WORD = 1u;
const SEARCHES = false;

// What the m of a group may be, from its element of largest magnitude; the first, unless SEARCHES.
fn bounds_of(extreme: f32) -> vec4f {
  return vec4f(abs(extreme));
}

fn step_of(bound: f32) -> f32 {
  return bound / 127.0;
}

// The nearest values that have a code, in steps.
fn nearest(steps: vec4f) -> vec4f {
  return clamp(round(steps), vec4f(-127.0), vec4f(127.0));
}

// Their codes.
fn codes_of(steps: vec4f, lane: u32) -> u32 {
  return pack4xI8(vec4i(steps));
}
