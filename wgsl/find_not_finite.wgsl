// Notes a tensor of stored weights that has a NaN or an infinity.
//
//   faults[tensor] = 2 where a word at first + i * period has all bits of mask_a or all bits of mask_b set
//
// The masks are the exponent bits of the floats that the word holds: of one f32, or of two halves. The words are weights,
// or the scales of blocks, which are finite where their products with small integers are.
// Where every word counts four are taken at once, which a software adapter loads in less time.
// Grid: one invocation for 16 words that lie 64 apart, 64 to a workgroup, in rows of SPAN workgroups.
// Prelude: SPAN. After an alias: Word is u32 or vec4u, and `first`, `period` and `n_words` count in it.

struct Params {
  first: u32,
  period: u32,
  n_words: u32,
  mask_a: u32,
  mask_b: u32,
  tensor: u32,
}

@group(0) @binding(0) var<storage, read> words: array<Word>;  // (any length)
@group(0) @binding(1) var<storage, read_write> faults: array<atomic<u32>>;  // (n_tensors)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = (group.y * SPAN + group.x) * 1024u + lane;
  let mask_a = Word(params.mask_a);
  let mask_b = Word(params.mask_b);
  var found = mask_a != mask_a;  // nowhere
  for (var i = 0; i < 16; i++) { // @unroll
    let at = begin + i * 64u;
    if (at < params.n_words) {
      let word = words[params.first + at * params.period];
      found = found | ((word & mask_a) == mask_a) | ((word & mask_b) == mask_b);
    }
  }
  if (any(found)) {
    atomicMax(&faults[params.tensor], 2u);
  }
}
