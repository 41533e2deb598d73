// Storage format q5, GGUF's Q5_0: 5 bits, and one f16 scale to a group of 32 weights (5.5 bits a weight).
//
//   w = d (q - 16)
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/five_bits.wgsl, the functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times
// 4 weights each.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 1)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, ceil(groups / 2), 3), two of fifth bits, two f16 d

const SCALED = true;
const HAS_MIN = true;

fn high_word(row: u32, group: u32, groups: u32) -> u32 {
  return scales[(row * ((groups + 1u) / 2u) + group / 2u) * 3u + group % 2u];
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let d = unpack2x16float(scales[(row * ((groups + 1u) / 2u) + pair) * 3u + 2u]);
  return vec4f(d.x, -16.0 * d.x, d.y, -16.0 * d.y);
}
