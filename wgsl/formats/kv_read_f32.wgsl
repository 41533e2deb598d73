// Reading keys and values in f32.
//
// Declares the bindings `k` and `v`, and the functions that attention reads them by. A kv_read_* file has for each:
// `*_quad`, the elements 4d..4d+3 of the row whose first quad has the index `first`; and `*_scales`, the scales of groups
// 2 pair and 2 pair + 1 of a row, a group being 8 quads. A quad takes its group's scale: 1 where the format has none.
// Prelude: none of its own.

@group(0) @binding(1) var<storage, read> k: array<vec4f>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(2) var<storage, read> v: array<vec4f>;  // (n_kv_heads, capacity, head_dim)

fn key_scales(row: u32, pair: u32) -> vec2f {
  return vec2f(1.0);
}

fn value_scales(row: u32, pair: u32) -> vec2f {
  return vec2f(1.0);
}

fn key_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return k[first + d];
}

fn value_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return v[first + d];
}
