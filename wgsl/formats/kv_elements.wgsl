// How a quad of a row is stored in a format without groups. See kv_groups for the functions.
// Prelude: none of its own. Joined after kv_read_f32 and kv_write_f32, or kv_read_f16 and kv_write_f16.

const QUADS_OF_WORD = 1u;

struct StoredQuad {
  word: KvWord,
  bound: f32,  // unused
}

fn stored_quad(x: vec4f, d: u32, lane: u32, first: u32, last: u32) -> StoredQuad {
  return StoredQuad(KvWord(pack_pair(x.xy), pack_pair(x.zw)), 1.0);
}

fn store_bounds(bounds: vec2f, row: u32, pair: u32, is_key: bool) {}
