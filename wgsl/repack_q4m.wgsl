// GGUF Q4_1 blocks as q4m groups: the same d and m, the same nibbles in our order.
//
//   w = d * q + m
//
// Grid: one invocation a group of 32, 64 to a workgroup.
// After formats/source.wgsl, formats/source_nibbles.wgsl and formats/source_q4_1.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups) of 32 nibbles
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;  // (part_rows, groups) of f16 d and m
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = locate(id.x, params.groups);
  if (place.outside) {
    return;
  }
  let group = place.row * params.groups + place.item;
  weight[group] = load_nibbles(place.byte, place.item);
  scales[group] = load_scale_and_minimum(place.byte, place.item);
}
