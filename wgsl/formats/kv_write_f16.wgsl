// Storing keys and values in f16, two to a u32, low half first.

alias KvPair = u32;

// What does not fit is stored as the largest f16: WGSL leaves the conversion of larger values open.
fn pack_pair(values: vec2f) -> KvPair {
  return pack2x16float(clamp(values, vec2f(-65504.0), vec2f(65504.0)));
}
