// 16-bit weights, f16 or bf16, moved as they are: bits are never reinterpreted, so that even NaNs stay.
//
//   weight[row][i] = source[row][i], zero from `columns` to the end of the last group
//
// Grid: one invocation a group of 32, 64 to a workgroup. After formats/source.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups, 4) of 16-bit pairs
@group(0) @binding(2) var<uniform> params: Params;

// Weights 2 * pair and 2 * pair + 1 of a row, zero past its end.
fn load_pair(row_byte: u32, pair: u32) -> u32 {
  if (pair * 2u >= params.columns) {
    return 0u;
  }
  let word = word_at(row_byte + pair * 4u);
  return select(word, word & 0xffffu, pair * 2u + 1u == params.columns);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = locate(id.x, params.groups);
  if (place.outside) {
    return;
  }
  let base = (place.row * params.groups + place.item) * 4u;
  for (var i = 0; i < 4; i++) { // @unroll
    let pair = place.item * 16u + i * 4u;
    weight[base + i] = vec4u(
      load_pair(place.byte, pair),
      load_pair(place.byte, pair + 1u),
      load_pair(place.byte, pair + 2u),
      load_pair(place.byte, pair + 3u),
    );
  }
}
