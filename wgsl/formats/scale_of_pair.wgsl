// Scales of formats that keep those of two groups together, or of more.
// Joined after a format.

// (d, m) of a group: w = d * quad + m.
fn scale_of(row: u32, g: u32, groups: u32) -> vec2f {
  let pair = scale_pair(row, g / 2u, groups);
  return select(pair.xy, pair.zw, (g & 1u) != 0u);
}
