// Storage format q5m, GGUF's Q5_1: 5 bits, and an f16 scale and minimum to a group of 32 weights (6 bits a weight).
//
//   w = d q + m
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/five_bits.wgsl, the functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times
// 4 weights each.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 1)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, groups, 2), fifth bits, then f16 d and m

const SCALED = true;
const HAS_MIN = true;

fn high_word(row: u32, group: u32, groups: u32) -> u32 {
  return scales[(row * groups + group) * 2u];
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m. Where a row ends between them, the second is unused.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let first = (row * groups + 2u * pair) * 2u;
  return vec4f(unpack2x16float(scales[first + 1u]), unpack2x16float(scales[first + 3u]));
}

// The same of one group.
fn scale_of(row: u32, g: u32, groups: u32) -> vec2f {
  return unpack2x16float(scales[(row * groups + g) * 2u + 1u]);
}
