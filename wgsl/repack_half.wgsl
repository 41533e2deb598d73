// 16-bit weights, f16 or bf16, moved as they are: bits are never reinterpreted, so that even NaNs stay.
//
//   weight[row][i] = source[row][i], zero from `columns` to the end of the last group
//
// Grid: one invocation a group of 32, 64 to a workgroup. After formats/source.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups, 4) of 16-bit pairs
@group(0) @binding(2) var<uniform> params: Params;

// Weights 4 * quad .. 4 * quad + 3 of a row, zero past its end.
fn load_halves(row_byte: u32, quad: u32) -> vec2u {
  if (quad * 4u >= params.columns) {
    return vec2u(0u);
  }
  return vec2u(word_at(row_byte + quad * 8u), word_at(row_byte + quad * 8u + 4u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = locate(id.x, params.groups);
  if (place.outside) {
    return;
  }
  let base = (place.row * params.groups + place.item) * 4u;
  for (var i = 0; i < 4; i++) { // @unroll
    let quad = place.item * 8u + i * 2u;
    weight[base + i] = vec4u(load_halves(place.byte, quad), load_halves(place.byte, quad + 1u));
  }
}
