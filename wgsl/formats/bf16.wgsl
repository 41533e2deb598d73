// Storage format bf16: two weights to a u32, low half first; each is the upper half of an f32.
//
//   w = bitcast<f32>(bf16 << 16)
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
  let a = load[2u * j];
  let b = load[2u * j + 1u];
  return bitcast<vec4f>(vec4u(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  return vec4f(1.0, 0.0, 1.0, 0.0);
}
