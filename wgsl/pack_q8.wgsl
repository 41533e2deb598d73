// Quantises weights of any source dtype to q8: int8 with the scale that the largest one asks for.
//
//   d = f16(max |w| / 127), q = round(w / d)
//
// Dividing by the stored d, not by the exact one, keeps the scale's own rounding out of the error.
// Grid: one invocation for two groups, whose scales share a word, 64 to a workgroup.
// After shared/half.wgsl, formats/source.wgsl, formats/source_<dtype>.wgsl and formats/fault.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups, 2) of four int8
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;  // (part_rows, ceil(groups / 2)) of two f16
@group(0) @binding(3) var<storage, read_write> faults: array<atomic<u32>>;  // (n_tensors), 1 where a value did not fit
@group(0) @binding(4) var<uniform> params: Params;

fn pack_bytes(q: vec4i) -> u32 {
  let bytes = bitcast<vec4u>(q) & vec4u(255u);
  return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}

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
      let values = load_group(place.byte, group);
      if (overflows(values, 0x4afde040u)) {  // 127 times the largest f16
        return;
      }
      let largest = bitcast<f32>(largest_bits(values));
      // Below the smallest f16 the scale would vanish, and the weights with it.
      let d = half_of(select(0.0, max(largest / 127.0, SMALLEST_HALF), largest > 0.0));
      let inverse = select(0.0, 1.0 / d, d > 0.0);
      let base = (place.row * params.groups + group) * 2u;
      var words: array<u32, 8>;
      for (var j = 0; j < 8; j++) { // @unroll
        words[j] = pack_bytes(vec4i(clamp(round(values[j] * inverse), vec4f(-127.0), vec4f(127.0))));
      }
      weight[base] = vec4u(words[0], words[1], words[2], words[3]);
      weight[base + 1u] = vec4u(words[4], words[5], words[6], words[7]);
      scale |= pack2x16float(vec2f(d, 0.0)) << (i * 16u);
    }
  }
  scales[place.row * pairs + place.item] = scale;
}
