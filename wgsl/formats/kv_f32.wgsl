// Keys and values in f32.

alias KvPair = vec2f;
alias KvQuad = vec4f;

fn pack_pair(values: vec2f) -> KvPair {
  return values;
}

fn quad_of(stored: KvQuad) -> vec4f {
  return stored;
}
