// Storage format q4m: 4 bits, eight to a u32, and an f16 scale and minimum to a group of 32 weights (5 bits a weight).
//
//   w = d * q + m
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/whole_load.wgsl, the functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times 4
// weights each.
// After shared/codes.wgsl. Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 1)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, groups), f16 d (low half) and m (high half)

const SCALED = true;
const HAS_MIN = true;

// Weights 4j..4j+3 of one load, still to be scaled: even quads are low nibbles, odd quads high ones.
fn quad(load: Load, j: u32) -> vec4f {
  return vec4f(unpack4xU8(codes4(load, j)));
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m. Where a row ends between them, the second is unused.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let first = row * groups + 2u * pair;
  return vec4f(unpack2x16float(scales[first]), unpack2x16float(scales[first + 1u]));
}

// The same of one group.
fn scale_of(row: u32, g: u32, groups: u32) -> vec2f {
  return unpack2x16float(scales[row * groups + g]);
}
