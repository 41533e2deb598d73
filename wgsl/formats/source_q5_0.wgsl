// GGUF Q5_0 rows: blocks of f16 d, 32 fifth bits, then 32 nibbles; w = d * (q - 16). 22 bytes.
// After formats/source_nibbles.wgsl and formats/source_five_bits.wgsl.

alias Low = vec4u;
const BLOCK_GROUPS = 2u;
const BLOCK_WORDS = 3u;

// Nibbles of a group.
fn load_low(row_byte: u32, group: u32) -> Low {
  let byte = row_byte + group * 22u + 6u;
  return reorder(word_at(byte), word_at(byte + 4u), word_at(byte + 8u), word_at(byte + 12u));
}

// Fifth bits of a group, 0 past the row's end.
fn load_high(row_byte: u32, group: u32) -> u32 {
  if (group >= params.groups) {
    return 0u;
  }
  return spread_bits(word_at(row_byte + group * 22u + 2u));
}

// f16 bits of a group's d, 0 past the row's end.
fn load_scale(row_byte: u32, group: u32) -> u32 {
  if (group >= params.groups) {
    return 0u;
  }
  return word_at(row_byte + group * 22u) & 0xffffu;
}

// Word `i` of what two groups have besides nibbles: see formats/q5.wgsl.
fn load_word(row_byte: u32, block: u32, i: u32) -> u32 {
  if (i < 2u) {
    return load_high(row_byte, block * 2u + i);
  }
  return load_scale(row_byte, block * 2u) | (load_scale(row_byte, block * 2u + 1u) << 16u);
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let d = unpack2x16float(load_scale(row_byte, group)).x;
  return expand5(load_low(row_byte, group), load_high(row_byte, group), d, -16.0 * d);
}
