// Reading keys and values in f32.
//
// A kv_read_* file has what one element of the bindings `k` and `v` is, `KvWord`, and the functions that attention reads
// them by. For each: `*_quad`, the elements 4d..4d+3 of the row whose first quad has the index `first`; and `*_scales`,
// the scales of groups 2 pair and 2 pair + 1 of a row, a group being 8 quads. A quad takes its group's scale: 1 where the
// format has none. `quad_of` and `scale_of` take what would be read.
// Prelude: none of its own.
// Joined with a kernel that binds `k` and `v`: array<KvWord>, (n_kv_heads, capacity, head_dim).

alias KvWord = vec4f;

fn quad_of(word: KvWord, d: u32, scale: f32) -> vec4f {
  return word;
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
  return k[first + d];
}

fn value_quad(first: u32, d: u32, scale: f32) -> vec4f {
  return v[first + d];
}
