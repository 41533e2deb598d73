// Rounding to f16, in f32: to the nearest, and to the even one of two, as pack2x16float does.
//
// unpack2x16float(pack2x16float(x)) means the same, but Mesa 25 takes it for x; and quantizeToF16 may round towards zero,
// as SwiftShader does.

const SMALLEST_NORMAL_HALF = 6.103515625e-5;
const SMALLEST_HALF = 5.9604644775390625e-8;

// x is at most 65504, the largest f16, whatever its sign.
fn half_of(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let normal = bitcast<f32>((bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u);
  // Below the smallest normal f16, f16 are the multiples of the smallest.
  return select(normal, round(x * 16777216.0) * SMALLEST_HALF, abs(x) < SMALLEST_NORMAL_HALF);
}
