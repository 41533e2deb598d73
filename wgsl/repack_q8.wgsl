// GGUF Q8_0 blocks as q8 groups: the same d, the same integers.
//
//   w = d * q
//
// Grid: one invocation for two groups, whose scales share a word, 64 to a workgroup.
// After formats/source.wgsl and formats/source_q8_0.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups, 2) of four int8
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
      let words = load_bytes(place.byte, group);
      let base = (place.row * params.groups + group) * 2u;
      weight[base] = vec4u(words[0], words[1], words[2], words[3]);
      weight[base + 1u] = vec4u(words[4], words[5], words[6], words[7]);
      scale |= load_scale(place.byte, group) << (i * 16u);
    }
  }
  scales[place.row * pairs + place.item] = scale;
}
