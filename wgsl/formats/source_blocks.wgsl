// What GGUF's blocks of 256 weights share: 2-, 4- and single bits of four neighbours in four neighbouring bytes, those of
// other groups beside them. `byte` is where the group's first lies. After shared/codes.wgsl, whose orders these give.

// Nibbles of 32 bytes, the lower ones for `shift` 0, the upper ones for 4.
fn gather_nibbles(byte: u32, shift: u32) -> vec4u {
  var words: vec4u;
  for (var i = 0; i < 4; i++) { // @unroll
    let low = (word_at(byte + i * 8u) >> shift) & 0x0f0f0f0fu;
    words[i] = low | (((word_at(byte + i * 8u + 4u) >> shift) & 0x0f0f0f0fu) << 4u);
  }
  return words;
}

// Bits `shift` and shift + 1 of 32 bytes.
fn gather_pairs(byte: u32, shift: u32) -> vec2u {
  var words: vec2u;
  for (var i = 0; i < 4; i++) { // @unroll
    words.x |= ((word_at(byte + i * 4u) >> shift) & 0x03030303u) << (i * 2u);
    words.y |= ((word_at(byte + i * 4u + 16u) >> shift) & 0x03030303u) << (i * 2u);
  }
  return words;
}

// Bit `shift` of 32 bytes.
fn gather_bits(byte: u32, shift: u32) -> u32 {
  var word = 0u;
  for (var i = 0; i < 8; i++) { // @unroll
    word |= ((word_at(byte + i * 4u) >> shift) & 0x01010101u) << i;
  }
  return word;
}

// f16 at a byte.
fn half_at(byte: u32) -> f32 {
  return unpack2x16float(word_at(byte) & 0xffffu).x;
}
