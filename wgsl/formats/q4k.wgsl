// Storage format q4k, GGUF's Q4_K: 4 bits, eight to a u32; 6-bit scales and minima of groups of 32, in units of an f16
// each to a block of 256 (4.625 bits a weight).
//
//   w = d s q - dmin m
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and, with
// formats/whole_load.wgsl and formats/scales_k.wgsl, the functions that read them. A group is 32 weights of one row:
// LOADS loads of QUADS times 4 weights each. After shared/codes.wgsl.
// Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 1)
@group(0) @binding(1) var<storage, read> scales: array<u32>;  // (rows, groups / 8, 5), see scales_k.wgsl

const SCALED = true;
const HAS_MIN = true;
const BLOCK_WORDS = 5u;

// Weights 4j..4j+3 of one load, still to be scaled.
fn quad(load: Load, j: u32) -> vec4f {
  return vec4f(unpack4xU8(codes4(load, j)));
}
