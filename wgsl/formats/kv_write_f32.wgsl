// Storing keys and values in f32.

alias KvPair = vec2f;

fn pack_pair(values: vec2f) -> KvPair {
  return values;
}
