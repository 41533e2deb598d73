// Order of f32 values as integers, so that comparing needs no float rules and ties are exact.

// Key of a logit that is NaN or infinite. It is above every finite key, so that the maximum tells of it.
const NOT_FINITE = 0xffffffffu;

// Maps the bits of an f32 to a u32 that orders as the value does; negative zero stands just below zero.
fn order_key(bits: u32) -> u32 {
  if ((bits & 0x7f800000u) == 0x7f800000u) {
    return NOT_FINITE;
  }
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

// The bits that a finite key came from.
fn key_bits(key: u32) -> u32 {
  return select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u);
}
