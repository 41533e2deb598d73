// GGUF Q2_K rows: blocks of 256 weights, 16 bytes of 4-bit s (low) and m (high), 64 bytes q, f16 d and dmin. A half of the
// block is 32 bytes of two bits of each of its groups; w = d s q - dmin m. 84 bytes. After formats/source_blocks.wgsl.

alias Low = vec2u;
const BLOCK_GROUPS = 8u;
const BLOCK_WORDS = 5u;

// q of a group.
fn load_low(row_byte: u32, group: u32) -> Low {
  return gather_pairs(row_byte + group / 8u * 84u + 16u + group % 8u / 4u * 32u, group % 4u * 2u);
}

// Word `i` of what a block has besides: see formats/q2k.wgsl.
fn load_word(row_byte: u32, block: u32, i: u32) -> u32 {
  return word_at(row_byte + block * 84u + select((i - 1u) * 4u, 80u, i == 0u));
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let block = row_byte + group / 8u * 84u;
  let d = unpack2x16float(word_at(block + 80u));
  let s = word_at(block + group % 8u / 2u * 4u) >> (16u * (group & 1u));
  let low = load_low(row_byte, group);
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    let scale = s >> (i / 4u * 8u);
    values[i] = d.x * f32(scale & 15u) * vec4f(unpack4xU8(codes2(low, i))) - vec4f(d.y * f32((scale >> 4u) & 15u));
  }
  return values;
}
