// What GGUF's 4-bit blocks share: 16 bytes whose low nibbles are weights 0..15 and whose high nibbles are 16..31.
// After shared/codes.wgsl.

// q in the order of our own 4-bit groups: word j holds weights 8j..8j+3 in its low nibbles, 8j+4..8j+7 in the high ones.
fn reorder(a: u32, b: u32, c: u32, d: u32) -> vec4u {
  return vec4u(
    (a & 0x0f0f0f0fu) | ((b & 0x0f0f0f0fu) << 4u),
    (c & 0x0f0f0f0fu) | ((d & 0x0f0f0f0fu) << 4u),
    ((a >> 4u) & 0x0f0f0f0fu) | (b & 0xf0f0f0f0u),
    ((c >> 4u) & 0x0f0f0f0fu) | (d & 0xf0f0f0f0u),
  );
}

// The 32 weights of a group in our order: w = d * q + m.
fn expand(words: vec4u, d: f32, m: f32) -> array<vec4f, 8> {
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    values[i] = d * vec4f(unpack4xU8(codes4(words, i))) + m;
  }
  return values;
}
