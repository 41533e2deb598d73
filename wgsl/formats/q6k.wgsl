// Storage format q6k, GGUF's Q6_K: 6 bits, int8 scales of 16 weights each, in units of one f16 to a block of 256 (6.625
// bits a weight).
//
//   w = d s (q - 32)
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and the
// functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times 4 weights each.
// After shared/codes.wgsl. Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;  // (rows, groups, 1) of lower nibbles
// (rows, groups / 8, 21): f16 d; the s of each pair of groups, 4 words; the upper bits of each group, 8 times 2
@group(0) @binding(1) var<storage, read> scales: array<u32>;

const SCALED = true;
const HAS_MIN = false;

struct Load {
  low: vec4u,
  high: vec2u,
  scales: u32,  // int8 s of the first and of the last 16 weights, in the lower half
}

// Load number `at` of a row: that of group `at`.
fn load_weights(row: u32, at: u32, groups: u32) -> Load {
  let block = (row * (groups / 8u) + at / 8u) * 21u;
  let high = block + 5u + at % 8u * 2u;
  let s = scales[block + 1u + at % 8u / 2u] >> (16u * (at & 1u));
  return Load(weight[row * groups + at], vec2u(scales[high], scales[high + 1u]), s);
}

// Weights 4j..4j+3 of one load, still to be scaled by d: s (q - 32) is exact.
fn quad(load: Load, j: u32) -> vec4f {
  let s = f32(i32(load.scales << (24u - 8u * (j >> 2u))) >> 24u);
  return fma(vec4f(unpack4xU8(codes6(load.low, load.high, j))), vec4f(s), vec4f(-32.0 * s));
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let d = unpack2x16float(scales[(row * (groups / 8u) + pair / 4u) * 21u]).x;
  return vec4f(d, 0.0, d, 0.0);
}
