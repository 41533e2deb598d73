// Keys and values in f16, two to a u32, low half first.

alias KvPair = u32;
alias KvQuad = vec2u;

// What does not fit is stored as the largest f16: WGSL leaves the conversion of larger values open.
fn pack_pair(values: vec2f) -> KvPair {
  return pack2x16float(clamp(values, vec2f(-65504.0), vec2f(65504.0)));
}

fn quad_of(stored: KvQuad) -> vec4f {
  return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y));
}
