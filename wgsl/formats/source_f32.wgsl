// F32 rows: four bytes a weight.

// Weights 4 * quad .. 4 * quad + 3 of a row.
fn load_quad(row_byte: u32, quad: u32) -> vec4f {
  let byte = row_byte + quad * 16u;
  return bitcast<vec4f>(vec4u(word_at(byte), word_at(byte + 4u), word_at(byte + 8u), word_at(byte + 12u)));
}
