// Storage format q2k, GGUF's Q2_K: 2 bits, 4-bit scales and minima of 16 weights each, in units of an f16 each to a block of
// 256 (2.625 bits a weight).
//
//   w = d s q - dmin m
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and the
// functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times 4 weights each.
// After shared/codes.wgsl. Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec2u>;  // (rows, groups, 1)
// (rows, groups / 8, 5): f16 d and dmin; for each pair of groups four bytes of s (low half) and m (high half)
@group(0) @binding(1) var<storage, read> scales: array<u32>;

const SCALED = false;
const HAS_MIN = false;

struct Load {
  low: vec2u,
  d: u32,  // f16 d and dmin
  scales: u32,  // s and m of the first and of the last 16 weights, in the lower half
}

// Load number `at` of a row: that of group `at`.
fn load_weights(row: u32, at: u32, groups: u32) -> Load {
  let block = (row * (groups / 8u) + at / 8u) * 5u;
  let s = scales[block + 1u + at % 8u / 2u] >> (16u * (at & 1u));
  return Load(weight[row * groups + at], scales[block], s);
}

// Weights 4j..4j+3 of one load. They are scaled already: two scales and minima to a load are too many for `scale_pair`.
fn quad(load: Load, j: u32) -> vec4f {
  let d = unpack2x16float(load.d);
  let s = load.scales >> (8u * (j >> 2u));
  return fma(
    vec4f(unpack4xU8(codes2(load.low, j))),
    vec4f(d.x * f32(s & 15u)),
    vec4f(-d.y * f32((s >> 4u) & 15u)),
  );
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  return vec4f(1.0, 0.0, 1.0, 0.0);
}
