// F16 rows: two bytes a weight.

// Weights 4 * quad .. 4 * quad + 3 of a row.
fn load_quad(row_byte: u32, quad: u32) -> vec4f {
  let byte = row_byte + quad * 8u;
  return vec4f(unpack2x16float(word_at(byte)), unpack2x16float(word_at(byte + 4u)));
}
