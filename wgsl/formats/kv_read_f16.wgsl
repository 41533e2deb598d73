// Reading keys and values in f16, two to a u32, low half first. See kv_read_f32 for the functions.
// Prelude: none of its own.

@group(0) @binding(1) var<storage, read> k: array<vec2u>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(2) var<storage, read> v: array<vec2u>;  // (n_kv_heads, capacity, head_dim)

fn key_scales(row: u32, pair: u32) -> vec2f {
  return vec2f(1.0);
}

fn value_scales(row: u32, pair: u32) -> vec2f {
  return vec2f(1.0);
}

fn key_quad(first: u32, d: u32, scale: f32) -> vec4f {
  let stored = k[first + d];
  return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y));
}

fn value_quad(first: u32, d: u32, scale: f32) -> vec4f {
  let stored = v[first + d];
  return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y));
}
