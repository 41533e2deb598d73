// Storage format q5k, GGUF's Q5_K: 5 bits, 6-bit scales and minima of groups of 32, in units of an f16 each to a block of
// 256 (5.625 bits a weight).
//
//   w = d s q - dmin m
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/five_bits.wgsl and formats/scales_k.wgsl, the functions that read them. A group is 32 weights of one row:
// LOADS loads of QUADS times 4 weights each.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 1)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, groups / 8, 13), see scales_k.wgsl, then 8 of fifth bits

const SCALED = true;
const HAS_MIN = true;
const BLOCK_WORDS = 13u;

fn high_word(row: u32, group: u32, groups: u32) -> u32 {
  return scales[(row * (groups / 8u) + group / 8u) * BLOCK_WORDS + 5u + group % 8u];
}
