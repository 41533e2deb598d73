// F32 rows: four bytes a weight.

// Weights 4 * quad .. 4 * quad + 3 of a row.
fn load_quad(row_byte: u32, quad: u32) -> vec4f {
  let byte = row_byte + quad * 16u;
  return bitcast<vec4f>(vec4u(word_at(byte), word_at(byte + 4u), word_at(byte + 8u), word_at(byte + 12u)));
}

// The 32 weights of a group, zero past the row's end.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    if (group * 32u + i * 4u < params.columns) {
      values[i] = load_quad(row_byte, group * 8u + i);
    }
  }
  return values;
}
