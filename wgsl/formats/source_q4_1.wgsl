// GGUF Q4_1 rows: blocks of f16 d, f16 m, then 32 nibbles q; w = d * q + m. 20 bytes.

// f16 bits of d (low half) and m (high half).
fn load_scale_and_minimum(row_byte: u32, group: u32) -> u32 {
  return word_at(row_byte + group * 20u);
}

// q in the order of our 4-bit groups.
fn load_nibbles(row_byte: u32, group: u32) -> vec4u {
  let byte = row_byte + group * 20u + 4u;
  return reorder(word_at(byte), word_at(byte + 4u), word_at(byte + 8u), word_at(byte + 12u));
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let scale = unpack2x16float(load_scale_and_minimum(row_byte, group));
  return expand(load_nibbles(row_byte, group), scale.x, scale.y);
}
