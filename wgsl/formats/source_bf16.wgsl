// BF16 rows: two bytes a weight, the upper half of an f32.

// Weights 4 * quad .. 4 * quad + 3 of a row.
fn load_quad(row_byte: u32, quad: u32) -> vec4f {
  let byte = row_byte + quad * 8u;
  let low = word_at(byte);
  let high = word_at(byte + 4u);
  return bitcast<vec4f>(vec4u(low << 16u, low & 0xffff0000u, high << 16u, high & 0xffff0000u));
}
