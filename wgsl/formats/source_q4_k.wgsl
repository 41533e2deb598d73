// GGUF Q4_K rows: blocks of 256 weights, f16 d and dmin, 12 bytes of scales, 128 bytes q, whose nibbles are pairs of
// groups; w = d s q - dmin m. 144 bytes. After formats/source_blocks.wgsl and formats/source_scales_k.wgsl.

alias Low = vec4u;
const BLOCK_GROUPS = 8u;
const BLOCK_WORDS = 5u;

// q of a group.
fn load_low(row_byte: u32, group: u32) -> Low {
  return gather_nibbles(row_byte + group / 8u * 144u + 16u + group % 8u / 2u * 32u, 4u * (group & 1u));
}

// Word `i` of what a block has besides: see formats/scales_k.wgsl.
fn load_word(row_byte: u32, block: u32, i: u32) -> u32 {
  let byte = row_byte + block * 144u;
  if (i == 0u) {
    return word_at(byte);
  }
  return scale_bytes(byte, i - 1u);
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let scale = scale_of(row_byte + group / 8u * 144u, group);
  return expand(load_low(row_byte, group), scale.x, scale.y);
}
