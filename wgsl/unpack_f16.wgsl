// Weights of any source dtype as f16, rounded.
//
//   weight[row][i] = f16(source[row][i]), zero from `columns` to the end of the last group
//
// Grid: one invocation a group of 32, 64 to a workgroup.
// After formats/source.wgsl, formats/source_<dtype>.wgsl and formats/fault.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups, 4) of f16 pairs
@group(0) @binding(2) var<storage, read_write> faults: array<atomic<u32>>;  // (n_tensors), 1 where a value did not fit
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = locate(id.x, params.groups);
  if (place.outside) {
    return;
  }
  let values = load_group(place.byte, place.item);
  if (overflows(values, 0x477ff000u)) {  // 65520, from where f16 rounds to infinity
    return;
  }
  let base = (place.row * params.groups + place.item) * 4u;
  for (var i = 0; i < 4; i++) { // @unroll
    let low = values[i * 2u];
    let high = values[i * 2u + 1u];
    weight[base + i] = vec4u(
      pack2x16float(low.xy),
      pack2x16float(low.zw),
      pack2x16float(high.xy),
      pack2x16float(high.zw),
    );
  }
}
