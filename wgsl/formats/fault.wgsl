// Notes a tensor whose values the target cannot hold, as f16 weights or by f16 scales. The kernel declares `faults`.

// The largest bit pattern of |x|: NaN and infinity are above every number.
fn largest_bits(values: array<vec4f, 8>) -> u32 {
  var largest = vec4u(0u);
  for (var i = 0; i < 8; i++) { // @unroll
    largest = max(largest, bitcast<vec4u>(values[i]) & vec4u(0x7fffffffu));
  }
  return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// True, and noted, where a value's magnitude is not below the number whose bits are `limit`.
fn overflows(values: array<vec4f, 8>, limit: u32) -> bool {
  if (largest_bits(values) < limit) {
    return false;
  }
  atomicStore(&faults[params.tensor], 1u);
  return true;
}
