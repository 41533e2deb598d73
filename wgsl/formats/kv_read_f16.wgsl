// Reading keys and values in f16, two to a u32, low half first. See kv_read_f32 for the functions.
// Prelude: none of its own.

alias KvWord = vec2u;

fn quad_of(word: KvWord, d: u32, scale: f32) -> vec4f {
  return vec4f(unpack2x16float(word.x), unpack2x16float(word.y));
}

fn scale_of(bound: f32) -> f32 {
  return 1.0;
}

fn key_scales(row: u32, pair: u32) -> vec2f {
  return vec2f(1.0);
}

fn value_scales(row: u32, pair: u32) -> vec2f {
  return vec2f(1.0);
}

fn key_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return quad_of(k[first + d], d, scale);
}

fn value_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return quad_of(v[first + d], d, scale);
}
