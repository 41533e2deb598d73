// GGUF Q4_0 rows: blocks of f16 d, then 32 nibbles q; w = d * (q - 8). 18 bytes.

// f16 bits of d.
fn load_scale(row_byte: u32, group: u32) -> u32 {
  return word_at(row_byte + group * 18u) & 0xffffu;
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
