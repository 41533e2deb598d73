// GGUF Q4_0 rows: blocks of f16 d, then 32 nibbles q; w = d * (q - 8). 18 bytes.

// f16 bits of d.
fn load_scale(row_byte: u32, group: u32) -> u32 {
  return word_at(row_byte + group * 18u) & 0xffffu;
}

// f16 bits of d (low half) and of the minimum -8 d (high half): a power of two, so exact below d = 8191.
fn load_scale_and_minimum(row_byte: u32, group: u32) -> u32 {
  let d = unpack2x16float(load_scale(row_byte, group)).x;
  return pack2x16float(vec2f(d, -8.0 * d));
}

// q in the order of our 4-bit groups.
fn load_nibbles(row_byte: u32, group: u32) -> vec4u {
  let byte = row_byte + group * 18u + 2u;
  return reorder(word_at(byte), word_at(byte + 4u), word_at(byte + 8u), word_at(byte + 12u));
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let d = unpack2x16float(load_scale(row_byte, group)).x;
  return expand(load_nibbles(row_byte, group), d, -8.0 * d);
}

// q - 8 as int8, four to a word: what a Q8_0 block of the same d holds.
fn load_bytes(row_byte: u32, group: u32) -> array<u32, 8> {
  let nibbles = load_nibbles(row_byte, group);
  var words: array<u32, 8>;
  for (var i = 0; i < 4; i++) { // @unroll
    words[i * 2u] = less_eight(nibbles[i] & 0x0f0f0f0fu);
    words[i * 2u + 1u] = less_eight((nibbles[i] >> 4u) & 0x0f0f0f0fu);
  }
  return words;
}

// Subtracts 8 from each byte; setting the sign bits first keeps borrows from crossing.
fn less_eight(bytes: u32) -> u32 {
  return ((bytes | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}
