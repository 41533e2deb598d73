// GGUF Q8_0 rows: blocks of f16 d, then 32 int8 q; w = d * q. 34 bytes.

// f16 bits of d.
fn load_scale(row_byte: u32, group: u32) -> u32 {
  return word_at(row_byte + group * 34u) & 0xffffu;
}

// q as int8, four to a word.
fn load_bytes(row_byte: u32, group: u32) -> array<u32, 8> {
  var words: array<u32, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    words[i] = word_at(row_byte + group * 34u + 2u + i * 4u);
  }
  return words;
}

// The 32 weights of a group.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  let d = unpack2x16float(load_scale(row_byte, group)).x;
  let words = load_bytes(row_byte, group);
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    values[i] = d * vec4f((bitcast<vec4i>(vec4u(words[i]) << vec4u(24u, 16u, 8u, 0u))) >> vec4u(24u));
  }
  return values;
}
