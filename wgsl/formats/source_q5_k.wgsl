// GGUF Q5_K rows: blocks of 256 weights, f16 d and dmin, 12 bytes of scales, 32 bytes of fifth bits, 128 bytes q, whose
// nibbles are pairs of groups; w = d s q - dmin m. 176 bytes. After formats/source_blocks.wgsl and
// formats/source_scales_k.wgsl.

alias Low = vec4u;
const BLOCK_GROUPS = 8u;
const BLOCK_WORDS = 13u;

// Nibbles of a group.
fn load_low(row_byte: u32, group: u32) -> Low {
  return gather_nibbles(row_byte + group / 8u * 176u + 48u + group % 8u / 2u * 32u, 4u * (group & 1u));
}

// Fifth bits of a group.
fn load_high(row_byte: u32, group: u32) -> u32 {
  return gather_bits(row_byte + group / 8u * 176u + 16u, group % 8u);
}

// Word `i` of what a block has besides nibbles: see formats/q5k.wgsl.
fn load_word(row_byte: u32, block: u32, i: u32) -> u32 {
  let byte = row_byte + block * 176u;
  if (i == 0u) {
    return word_at(byte);
  }
  if (i < 5u) {
    return scale_bytes(byte, i - 1u);
  }
  return load_high(row_byte, block * 8u + i - 5u);
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let scale = scale_of(row_byte + group / 8u * 176u, group);
  return expand5(load_low(row_byte, group), load_high(row_byte, group), scale.x, scale.y);
}
