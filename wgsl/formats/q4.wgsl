// Storage format q4: 4 bits, eight to a u32, and one f16 scale to a group of 32 weights (4.5 bits a weight).
//
//   w = d * (q - 8)
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/whole_load.wgsl, the functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times 4
// weights each.
// Flipping a nibble's top bit makes q - 8 in two's complement; in the upper half of a byte it is 16 * (q - 8), which
// one unpack4xI8 turns into four exact values without a subtraction. The 16 goes into the scale.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 1)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, ceil(groups / 2)), two f16 d each

const SCALED = true;
const HAS_MIN = false;

// Weights 4j..4j+3 of one load, still to be scaled: even quads are low nibbles, odd quads high ones.
fn quad(load: Load, j: u32) -> vec4f {
  let word = load[j >> 1u] << (4u - 4u * (j & 1u));
  return vec4f(unpack4xI8((word & 0xf0f0f0f0u) ^ 0x80808080u));
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let d = unpack2x16float(scales[row * ((groups + 1u) >> 1u) + pair]) * 0.0625;
  return vec4f(d.x, 0.0, d.y, 0.0);
}
