// Order of f32 values as integers, so that comparing needs no float rules and ties are exact.

// Key of a logit that is NaN or infinite. It is above every finite key, so that the maximum tells of it.
const NOT_FINITE = 0xffffffffu;

// Maps the bits of an f32 to a u32 that orders as the value does; the two zeros are equal.
fn order_key(bits: u32) -> u32 {
  let magnitude = bits & 0x7fffffffu;
  let key = 0x80000000u + select(magnitude, 0u - magnitude, bits > 0x80000000u);
  return select(key, NOT_FINITE, magnitude >= 0x7f800000u);
}

// The bits that a finite key came from.
fn key_bits(key: u32) -> u32 {
  return select(0x80000000u | (0x80000000u - key), key - 0x80000000u, key >= 0x80000000u);
}
