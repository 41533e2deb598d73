// Storage format f16: two weights to a u32, low half first.
//
//   w = unpack2x16float(u32)
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/whole_load.wgsl, the functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times 4
// weights each.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 4)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // unused

const SCALED = false;
const HAS_MIN = false;

// Weights 4j..4j+3 of one load, still to be scaled.
fn quad(load: Load, j: u32) -> vec4f {
  return vec4f(unpack2x16float(load[2u * j]), unpack2x16float(load[2u * j + 1u]));
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  return vec4f(1.0, 0.0, 1.0, 0.0);
}
