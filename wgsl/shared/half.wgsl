// Rounding to f16, in f32.
//
// unpack2x16float(pack2x16float(x)) means the same, but Mesa 25 takes it for x.

const SMALLEST_NORMAL_HALF = 6.103515625e-5;
const SMALLEST_HALF = 5.9604644775390625e-8;

fn half_of(x: f32) -> f32 {
  // Below the smallest normal f16, which quantizeToF16 takes for zero, f16 are the multiples of the smallest.
  return select(quantizeToF16(x), round(x * 16777216.0) * SMALLEST_HALF, abs(x) < SMALLEST_NORMAL_HALF);
}
