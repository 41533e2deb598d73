// Notes a tensor whose values do not fit in f16, as weights or as scales. Lossy conversions declare `faults`.

// The largest bit pattern of |x|: NaN and infinity are above every number.
fn largest_bits(values: array<vec4f, 8>) -> u32 {
  var largest = vec4u(0u);
  for (var i = 0; i < 8; i++) { // @unroll
    largest = max(largest, bitcast<vec4u>(values[i]) & vec4u(0x7fffffffu));
  }
  return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// True, and noted, where a value rounds to no finite f16: from 65520 on.
fn overflows(values: array<vec4f, 8>) -> bool {
  if (largest_bits(values) < 0x477ff000u) {
    return false;
  }
  atomicStore(&faults[params.tensor], 1u);
  return true;
}
