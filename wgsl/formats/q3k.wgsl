// Storage format q3k, GGUF's Q3_K: 3 bits, 6-bit scales of 16 weights each, in units of one f16 to a block of 256 (3.5
// bits a weight).
//
//   w = d (s - 32) (q - 4)
//
// Declares the bindings `weight` and `scales`, which every kernel that multiplies by a matrix starts with, and the
// functions that read them. A group is 32 weights of one row: LOADS loads of QUADS times 4 weights each.
// After shared/codes.wgsl. Prelude: none of its own.

@group(0) @binding(0) var<storage, read> weight: array<vec2u>;  // (rows, groups, 1) of lower bits
// (rows, groups / 8, 12): the s of each pair of groups, 6 bits each, with the bytes of f16 d above the first two; the
// third bits of each group
@group(0) @binding(1) var<storage, read> scales: array<u32>;

const SCALED = true;
const HAS_MIN = false;

struct Load {
  low: vec2u,
  high: u32,
  scales: u32,  // s of the first and of the last 16 weights, in the lower 12 bits
}

// Load number `at` of a row: that of group `at`.
fn load_weights(row: u32, at: u32, groups: u32) -> Load {
  let block = (row * (groups / 8u) + at / 8u) * 12u;
  let s = scales[block + at % 8u / 2u] >> (12u * (at & 1u));
  return Load(weight[row * groups + at], scales[block + 4u + at % 8u], s);
}

// Weights 4j..4j+3 of one load, still to be scaled by d: (s - 32) (q - 4) is exact.
fn quad(load: Load, j: u32) -> vec4f {
  let s = f32((load.scales >> (6u * (j >> 2u))) & 63u) - 32.0;
  return fma(vec4f(unpack4xU8(codes3(load.low, load.high, j))), vec4f(s), vec4f(-4.0 * s));
}

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let block = (row * (groups / 8u) + pair / 4u) * 12u;
  let d = unpack2x16float((scales[block] >> 24u) | ((scales[block + 1u] >> 24u) << 8u)).x;
  return vec4f(d, 0.0, d, 0.0);
}
