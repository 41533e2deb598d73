// GGUF Q5_1 rows: blocks of f16 d, f16 m, 32 fifth bits, then 32 nibbles; w = d * q + m. 24 bytes.
// After formats/source_nibbles.wgsl and formats/source_five_bits.wgsl.

alias Low = vec4u;
const BLOCK_GROUPS = 1u;
const BLOCK_WORDS = 2u;

// Nibbles of a group.
fn load_low(row_byte: u32, group: u32) -> Low {
  let byte = row_byte + group * 24u + 8u;
  return reorder(word_at(byte), word_at(byte + 4u), word_at(byte + 8u), word_at(byte + 12u));
}

// Word `i` of what a group has besides nibbles: see formats/q5m.wgsl.
fn load_word(row_byte: u32, group: u32, i: u32) -> u32 {
  if (i == 0u) {
    return spread_bits(word_at(row_byte + group * 24u + 4u));
  }
  return word_at(row_byte + group * 24u);
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let scale = unpack2x16float(load_word(row_byte, group, 1u));
  return expand5(load_low(row_byte, group), load_word(row_byte, group, 0u), scale.x, scale.y);
}
