// The scales of q4k and q5k: a block of 256 weights has BLOCK_WORDS words, first f16 d (low half) and dmin (high half), then
// for each pair of groups four bytes s, m, s, m. GGUF packs s and m in 6 bits; bytes cost 3% of memory and save as many
// operations again as the rest takes.

// (d, m) of groups 2 pair and 2 pair + 1: w = d * quad + m. Both products are exact in f32.
fn scale_pair(row: u32, pair: u32, groups: u32) -> vec4f {
  let block = (row * (groups / 8u) + pair / 4u) * BLOCK_WORDS;
  let d = unpack2x16float(scales[block]);
  return vec4f(unpack4xU8(scales[block + 1u + pair % 4u])) * vec4f(d.x, -d.y, d.x, -d.y);
}
