// Weights of any source dtype as f32.
//
//   weight[row][i] = source[row][i], zero from `columns` to the end of the last group
//
// Exact for every dtype but the block formats, where w = d * q + m is rounded once or twice.
// Grid: one invocation a group of 32, 64 to a workgroup. After formats/source.wgsl and formats/source_<dtype>.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4f>;  // (part_rows, groups, 8)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = locate(id.x, params.groups);
  if (place.outside) {
    return;
  }
  let values = load_group(place.byte, place.item);
  let base = (place.row * params.groups + place.item) * 8u;
  for (var i = 0; i < 8; i++) { // @unroll
    weight[base + i] = values[i];
  }
}
