// What GGUF's 5-bit blocks share. After shared/codes.wgsl.

// Fifth bits of 32 weights, from the order of the weights to ours: each nibble's bits go to four bytes.
fn spread_bits(bits: u32) -> u32 {
  var word = 0u;
  for (var i = 0; i < 8; i++) { // @unroll
    word |= ((((bits >> (i * 4u)) & 15u) * 0x00204081u) & 0x01010101u) << i;
  }
  return word;
}

// The 32 weights of a group in our order: w = d * q + m.
fn expand5(words: vec4u, high: u32, d: f32, m: f32) -> array<vec4f, 8> {
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    values[i] = d * vec4f(unpack4xU8(codes5(words, high, i))) + m;
  }
  return values;
}
