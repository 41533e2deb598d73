// GGUF Q3_K rows: blocks of 256 weights, 32 bytes of third bits, 64 bytes of lower bits, 12 bytes of sixteen 6-bit s, f16
// d. A half of the block is 32 bytes of two bits of each of its groups; w = d (s - 32) (q - 4). 110 bytes.
// After formats/source_blocks.wgsl.

alias Low = vec2u;
const BLOCK_GROUPS = 8u;
const BLOCK_WORDS = 12u;

// Lower bits of a group.
fn load_low(row_byte: u32, group: u32) -> Low {
  return gather_pairs(row_byte + group / 8u * 110u + 32u + group % 8u / 4u * 32u, group % 4u * 2u);
}

// Third bits of a group.
fn load_high(row_byte: u32, group: u32) -> u32 {
  return gather_bits(row_byte + group / 8u * 110u, group % 8u);
}

// The s of groups 2 pair and 2 pair + 1, 6 bits each: four bits of bytes 0..7, the lower ones first, two of bytes 8..11.
fn load_scales(block: u32, pair: u32) -> u32 {
  let low = (word_at(block + 96u + (pair & 1u) * 4u) >> (pair / 2u * 4u)) & 0x0f0f0f0fu;
  let s = low | (((word_at(block + 104u) >> (pair * 2u)) & 0x03030303u) << 4u);
  return (s & 0x3fu) | ((s >> 2u) & 0xfc0u) | ((s >> 4u) & 0x3f000u) | ((s >> 6u) & 0xfc0000u);
}

// Word `i` of what a block has besides lower bits: see formats/q3k.wgsl.
fn load_word(row_byte: u32, block: u32, i: u32) -> u32 {
  let byte = row_byte + block * 110u;
  if (i >= 4u) {
    return load_high(row_byte, block * 8u + i - 4u);
  }
  let s = load_scales(byte, i);
  if (i >= 2u) {
    return s;
  }
  return s | (((word_at(byte + 108u) >> (i * 8u)) & 0xffu) << 24u);
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let block = row_byte + group / 8u * 110u;
  let d = half_at(block + 108u);
  let s = load_scales(block, group % 8u / 2u) >> (12u * (group & 1u));
  let low = load_low(row_byte, group);
  let high = load_high(row_byte, group);
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    let scale = d * (f32((s >> (i / 4u * 6u)) & 63u) - 32.0);
    values[i] = scale * (vec4f(unpack4xU8(codes3(low, high, i))) - vec4f(4.0));
  }
  return values;
}
