// GGUF Q6_K rows: blocks of 256 weights, 128 bytes of lower nibbles, 64 bytes of upper bits, 16 int8 s, f16 d. A half of
// the block is 64 bytes of nibbles, the lower ones of its first two groups and the upper ones of its last two, and 32
// bytes of two bits of each group; w = d s (q - 32). 210 bytes. After formats/source_blocks.wgsl.

alias Low = vec4u;
const BLOCK_GROUPS = 8u;
const BLOCK_WORDS = 21u;

// Lower nibbles of a group.
fn load_low(row_byte: u32, group: u32) -> Low {
  let byte = row_byte + group / 8u * 210u + group % 8u / 4u * 64u + (group & 1u) * 32u;
  return gather_nibbles(byte, group % 4u / 2u * 4u);
}

// Upper bits of a group.
fn load_high(row_byte: u32, group: u32) -> vec2u {
  return gather_pairs(row_byte + group / 8u * 210u + 128u + group % 8u / 4u * 32u, group % 4u * 2u);
}

// Word `i` of what a block has besides lower nibbles: see formats/q6k.wgsl.
fn load_word(row_byte: u32, block: u32, i: u32) -> u32 {
  let byte = row_byte + block * 210u;
  if (i == 0u) {
    return word_at(byte + 208u) & 0xffffu;
  }
  if (i < 5u) {
    return word_at(byte + 192u + (i - 1u) * 4u);
  }
  let high = load_high(row_byte, block * 8u + (i - 5u) / 2u);
  return select(high.x, high.y, (i & 1u) == 0u);
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let block = row_byte + group / 8u * 210u;
  let d = half_at(block + 208u);
  let s = word_at(block + 192u + group % 8u / 2u * 4u) >> (16u * (group & 1u));
  let low = load_low(row_byte, group);
  let high = load_high(row_byte, group);
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    let scale = d * f32(i32(s << (24u - i / 4u * 8u)) >> 24u);
    values[i] = scale * (vec4f(unpack4xU8(codes6(low, high, i))) - vec4f(32.0));
  }
  return values;
}
