// GGUF Q4_0 blocks as q4 groups: the same d, the same nibbles in our order.
//
//   w = d * (q - 8)
//
// Grid: one invocation for two groups, whose scales share a word, 64 to a workgroup.
// After formats/source.wgsl, formats/source_nibbles.wgsl and formats/source_q4_0.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups) of 32 nibbles
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;  // (part_rows, ceil(groups / 2)) of two f16
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let pairs = (params.groups + 1u) / 2u;
  let place = locate(id.x, pairs);
  if (place.outside) {
    return;
  }
  var scale = 0u;
  for (var i = 0; i < 2; i++) { // @unroll
    let group = place.item * 2u + i;
    if (group < params.groups) {
      weight[place.row * params.groups + group] = load_nibbles(place.byte, group);
      scale |= load_scale(place.byte, group) << (i * 16u);
    }
  }
  scales[place.row * pairs + place.item] = scale;
}
