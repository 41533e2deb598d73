// What Q4_K and Q5_K share: blocks that begin with f16 d and dmin, and 12 bytes of eight 6-bit s and eight 6-bit m. Those of
// groups 0..3 are the lower six bits of bytes 0..3 and 4..7; those of groups 4..7 are the nibbles of bytes 8..11, with the
// upper two bits of bytes 0..3 and 4..7 above them.

// s, m, s, m of groups 2 pair and 2 pair + 1, a byte each.
fn scale_bytes(block: u32, pair: u32) -> u32 {
  var s = word_at(block + 4u) & 0x3f3f3f3fu;
  var m = word_at(block + 8u) & 0x3f3f3f3fu;
  if (pair >= 2u) {
    let nibbles = word_at(block + 12u);
    s = (nibbles & 0x0f0f0f0fu) | ((word_at(block + 4u) >> 2u) & 0x30303030u);
    m = ((nibbles >> 4u) & 0x0f0f0f0fu) | ((word_at(block + 8u) >> 2u) & 0x30303030u);
  }
  s >>= 16u * (pair & 1u);
  m >>= 16u * (pair & 1u);
  return (s & 0xffu) | ((m & 0xffu) << 8u) | ((s & 0xff00u) << 8u) | ((m & 0xff00u) << 16u);
}

// (d, m) of a group: w = d * q + m.
fn scale_of(block: u32, group: u32) -> vec2f {
  let d = unpack2x16float(word_at(block));
  let s = scale_bytes(block, group % 8u / 2u) >> (16u * (group & 1u));
  return vec2f(d.x * f32(s & 0xffu), -d.y * f32((s >> 8u) & 0xffu));
}
