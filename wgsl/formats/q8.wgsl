// Storage format q8: int8, four to a u32, and one f16 scale to a group of 32 weights (8.5 bits a weight).
//
//   w = d * q
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/whole_load.wgsl, the functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times 4
// weights each.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 2)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, ceil(groups / 2)), two f16 d each

const SCALED = true;
const HAS_MIN = false;

// Weights 4j..4j+3 of one load, still to be scaled.
fn quad(load: Load, j: u32) -> vec4f {
  return vec4f(unpack4xI8(load[j]));
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let d = unpack2x16float(scales[row * ((groups + 1u) >> 1u) + pair]);
  return vec4f(d.x, 0.0, d.y, 0.0);
}
