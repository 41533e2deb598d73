// Reading keys and values in q4, as kv_write_q4 stores them: rotated. See kv_read_f32 for the functions.
//
// A tensor holds codes, (n_kv_heads, capacity, head_dim) of 4 bits, then the m of its groups, (n_kv_heads, capacity,
// 2 ceil(groups / 2)) f16.
// Prelude: GROUP_SIZE (n_heads / n_kv_heads), N_HEADS, HEAD_DIM4 (head_dim / 4).

alias KvWord = u32;

// Index of a word of scales.
fn scales_at(row: u32, pair: u32) -> u32 {
  return N_HEADS / GROUP_SIZE * params.capacity * (HEAD_DIM4 / 2u) + row * ((HEAD_DIM4 + 15u) / 16u) + pair;
}

fn quad_of(word: KvWord, d: u32, scale: f32) -> vec4f {
  return (vec4f(unpack4xU8((word >> (d % 2u * 4u)) & 0x0f0f0f0fu)) - vec4f(8.0)) * scale;
}

fn scales_of(word: u32) -> vec2f {
  return unpack2x16float(word) * -0.125;
}

fn scale_of(bound: f32) -> f32 {
  return half_of(bound) * -0.125;
}

fn key_scales(row: u32, pair: u32) -> vec2f {
  return scales_of(k[scales_at(row, pair)]);
}

fn value_scales(row: u32, pair: u32) -> vec2f {
  return scales_of(v[scales_at(row, pair)]);
}

fn key_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return quad_of(k[first / 2u + d / 2u], d, scale);
}

fn value_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return quad_of(v[first / 2u + d / 2u], d, scale);
}
