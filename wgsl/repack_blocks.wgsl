// GGUF blocks whose parts are laid apart, the codes of a group in one aligned load: the same integers and the same f16.
//
//   weight[row][group] = codes of the group, or their lower bits
//   scales[row][block][i] = word i of what the block has besides
//
// Grid: one invocation a block of BLOCK_GROUPS groups, 64 to a workgroup.
// After formats/source.wgsl and formats/source_{q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k}.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<Low>;  // (part_rows, groups)
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;  // (part_rows, blocks, BLOCK_WORDS)
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let blocks = (params.groups + BLOCK_GROUPS - 1u) / BLOCK_GROUPS;
  let place = locate(id.x, blocks);
  if (place.outside) {
    return;
  }
  let first = place.item * BLOCK_GROUPS;
  for (var group = first; group < min(first + BLOCK_GROUPS, params.groups); group++) {
    weight[place.row * params.groups + group] = load_low(place.byte, group);
  }
  let base = (place.row * blocks + place.item) * BLOCK_WORDS;
  for (var i = 0u; i < BLOCK_WORDS; i++) {
    scales[base + i] = load_word(place.byte, place.item, i);
  }
}
