// Quantises weights of any source dtype to q4: of fifteen sets of integers, the one with the smallest squared error.
//
//   m = the weight of largest magnitude, with its sign
//   for c in {-5.625, -5.875, ..., -9.125}: q = clamp(round(w c / m), -8, 7), d = f16(sum(w q) / sum(q q))
//   the pair (q, d) with the smallest sum of (w - d q)^2
//
// Signed, because -8 has no counterpart: the largest weight gets it. Clipping a lone outlier often serves the other 31.
// No c is a half, which would leave the rounding of m itself to chance. Fine steps and the refitted d lower the error;
// both signs of c, or weighted errors, do not lower perplexity.
// Grid: one invocation for two groups, whose scales share a word, 64 to a workgroup.
// After shared/half.wgsl, formats/source.wgsl, formats/source_<dtype>.wgsl and formats/fault.wgsl.

@group(0) @binding(1) var<storage, read_write> weight: array<vec4u>;  // (part_rows, groups) of 32 nibbles
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;  // (part_rows, ceil(groups / 2)) of two f16
@group(0) @binding(3) var<storage, read_write> faults: array<atomic<u32>>;  // (n_tensors), 1 where a value did not fit
@group(0) @binding(4) var<uniform> params: Params;

// The component of largest magnitude, with its sign.
fn extreme(values: array<vec4f, 8>) -> f32 {
  var highest = values[0];
  var lowest = values[0];
  for (var i = 1; i < 8; i++) { // @unroll
    highest = max(highest, values[i]);
    lowest = min(lowest, values[i]);
  }
  let high = max(max(highest.x, highest.y), max(highest.z, highest.w));
  let low = min(min(lowest.x, lowest.y), min(lowest.z, lowest.w));
  return select(low, high, high >= -low);
}

// A scale as f16 holds it, never so small that it vanishes, nor infinite.
fn stored_scale(d: f32) -> f32 {
  let magnitude = half_of(clamp(abs(d), SMALLEST_HALF, 65504.0));
  return select(magnitude, -magnitude, d < 0.0);
}

fn quantize(value: vec4f, inverse: f32) -> vec4f {
  return clamp(round(value * inverse), vec4f(-8.0), vec4f(7.0));
}

fn pack_nibbles(q: vec4f) -> u32 {
  let nibbles = vec4u(q + 8.0);
  return nibbles.x | (nibbles.y << 8u) | (nibbles.z << 16u) | (nibbles.w << 24u);
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
      if (overflows(values, 0x48ffe000u)) {  // 8 times the largest f16
        return;
      }
      let m = extreme(values);
      var best_inverse = 0.0;
      var best_scale = 0.0;
      var best_error = 3.4e38;
      if (m != 0.0) {
        for (var c = -5.625; c >= -9.125; c -= 0.25) {
          let inverse = c / m;
          var products = vec4f(0.0);
          var squares = vec4f(0.0);
          for (var j = 0; j < 8; j++) { // @unroll
            let q = quantize(values[j], inverse);
            products += q * values[j];
            squares += q * q;
          }
          let product = products.x + products.y + products.z + products.w;
          let square = squares.x + squares.y + squares.z + squares.w;
          let d = stored_scale(product / square);
          // The squared error less the sum of w^2, which is the same for all.
          let error = d * (d * square - 2.0 * product);
          if (error < best_error) {
            best_error = error;
            best_inverse = inverse;
            best_scale = d;
          }
        }
      }
      var words: vec4u;
      for (var j = 0; j < 4; j++) { // @unroll
        words[j] = pack_nibbles(quantize(values[j * 2u], best_inverse)) |
          (pack_nibbles(quantize(values[j * 2u + 1u], best_inverse)) << 4u);
      }
      weight[place.row * params.groups + group] = words;
      scale |= pack2x16float(vec2f(best_scale, 0.0)) << (i * 16u);
    }
  }
  scales[place.row * pairs + place.item] = scale;
}
