// What rows of single elements share: they may end anywhere. After formats/source_{f32, f16, bf16}.wgsl.

// The 32 weights of a group, zero past the row's end.
fn load_group(row_byte: u32, group: u32) -> array<vec4f, 8> {
  var values: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    let first = group * 32u + i * 4u;
    if (first < params.columns) {
      let inside = vec4u(first) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.columns);
      values[i] = select(vec4f(0.0), load_quad(row_byte, group * 8u + i), inside);
    }
  }
  return values;
}
