// Storage format q8: int8, four to a u32, and one f16 scale to a group of 32 weights (8.5 bits a weight).
//
//   w = d * q
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and the
// two functions that read them. A group is 32 weights of one row: LOADS vec4u of QUADS times 4 weights each.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 2)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, ceil(groups / 2)), two f16 d each

const SCALED = true;
const HAS_MIN = false;

// Weights 4j..4j+3 of one load, still to be scaled.
fn quad(load: vec4u, j: u32) -> vec4f {
  return vec4f(unpack4xI8(load[j]));
}

// (d, m) of a group: w = d * quad + m.
fn scale_of(row: u32, group: u32, groups: u32) -> vec2f {
  let pair = unpack2x16float(scales[row * ((groups + 1u) >> 1u) + (group >> 1u)]);
  return vec2f(select(pair.x, pair.y, (group & 1u) != 0u), 0.0);
}
