// Reading keys and values in q8, as kv_write_q8 stores them. See kv_read_f32 for the functions.
//
// A tensor holds codes, (n_kv_heads, capacity, head_dim) int8, then the m of its groups, (n_kv_heads, capacity,
// 2 ceil(groups / 2)) f16.
// Prelude: GROUP_SIZE (n_heads / n_kv_heads), N_HEADS, HEAD_DIM4 (head_dim / 4).

alias KvWord = u32;

// Index of a word of scales.
fn scales_at(row: u32, pair: u32) -> u32 {
  return N_HEADS / GROUP_SIZE * params.capacity * HEAD_DIM4 + row * ((HEAD_DIM4 + 15u) / 16u) + pair;
}

fn quad_of(word: KvWord, d: u32, scale: f32) -> vec4f {
  return vec4f(unpack4xI8(word)) * scale;
}

fn scales_of(word: u32) -> vec2f {
  return unpack2x16float(word) / 127.0;
}

fn scale_of(bound: f32) -> f32 {
  return half_of(bound) / 127.0;
}

fn key_scales(row: u32, pair: u32) -> vec2f {
  return scales_of(k[scales_at(row, pair)]);
}

fn value_scales(row: u32, pair: u32) -> vec2f {
  return scales_of(v[scales_at(row, pair)]);
}

fn key_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return quad_of(k[first + d], d, scale);
}

fn value_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return quad_of(v[first + d], d, scale);
}
