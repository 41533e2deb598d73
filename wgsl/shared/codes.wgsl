// Integers of 2 to 6 bits, four neighbours at a time, a byte each: those of weights 4j..4j+3 of a group of 32.
//
// Bits that a nibble has no room for lie apart, in the order that one shift and one mask bring them to their bytes.

// 4 bits: word i holds weights 8i..8i+3 in low nibbles, 8i+4..8i+7 in high ones.
fn codes4(words: vec4u, j: u32) -> u32 {
  return (words[j >> 1u] >> (4u * (j & 1u))) & 0x0f0f0f0fu;
}

// 5 bits: the fifth of weight 4j + b is bit 8b + j of `high`.
fn codes5(words: vec4u, high: u32, j: u32) -> u32 {
  return codes4(words, j) | (((high >> j) & 0x01010101u) << 4u);
}

// 6 bits: the upper two of weight 4j + b are bits 8b + 2(j % 4) and the next of high[j / 4].
fn codes6(words: vec4u, high: vec2u, j: u32) -> u32 {
  return codes4(words, j) | (codes2(high, j) << 4u);
}

// 2 bits: those of weight 4j + b are bits 8b + 2(j % 4) and the next of words[j / 4].
fn codes2(words: vec2u, j: u32) -> u32 {
  return (words[j >> 2u] >> (2u * (j & 3u))) & 0x03030303u;
}

// 3 bits: the third of weight 4j + b is bit 8b + j of `high`.
fn codes3(words: vec2u, high: u32, j: u32) -> u32 {
  return codes2(words, j) | (((high >> j) & 0x01010101u) << 2u);
}
