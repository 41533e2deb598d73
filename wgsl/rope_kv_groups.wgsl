// Rotary position embedding of queries and keys (Su et al., 2021), fused with the split of the QKV projection and the
// write into a KV cache whose rows are codes in groups of 32 elements, each with a scale.
//
//   code = x / step, rounded,   step from the group's element of largest magnitude (formats/kv_write_*)
//
// of rows that are rotated by shared/rope.wgsl, with the table's row of the token's position, unless they are values,
// and then by shared/hadamard.wgsl, in formats that store them so.
//
// Grid: x = rows of a token (queries, keys, values), y = tokens; a workgroup of HEAD_DIM4 invocations a row, a quad each.
// Prelude: N_HEADS, N_KV_HEADS, HEAD_DIM4 (head_dim / 4, a multiple of 4), ROTARY_DIM4 (rotary_dim / 4), HAS_HADAMARD,
// STAGES (log2 of a Hadamard block's quads), LANES (HEAD_DIM4).
// Joined after shared/exchange_memory.wgsl, shared/hadamard.wgsl, shared/rope.wgsl, and kv_write_q8 or kv_write_q4 and
// kv_groups of formats/.

struct Params {
  n_tokens: u32,  // for the host
  capacity: u32,  // rows of the cache, a ring: position p is in row p mod capacity
  token_begin: u32,  // row of token 0 in qkv and q
}

@group(0) @binding(0) var<storage, read> qkv: array<vec2f>;  // (token_begin + n_tokens, N_HEADS + 2 N_KV_HEADS, head_dim)
@group(0) @binding(1) var<storage, read> table: array<vec4f>;  // (n_positions, rotary_dim / 2, 2)
@group(0) @binding(2) var<storage, read> state: array<u32>;  // (8): [0] position of token 0
@group(0) @binding(3) var<storage, read_write> q: array<vec4f>;  // (token_begin + n_tokens, N_HEADS, head_dim)
@group(0) @binding(4) var<storage, read_write> k: array<u32>;  // codes (N_KV_HEADS, capacity, head_dim), then scales
@group(0) @binding(5) var<storage, read_write> v: array<u32>;  // codes (N_KV_HEADS, capacity, head_dim), then scales
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(HEAD_DIM4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let token = group.y;
  let position = state[0] + token;
  let row = ((params.token_begin + token) * (N_HEADS + 2u * N_KV_HEADS) + head) * 2u * HEAD_DIM4;
  let rotates = head < N_HEADS + N_KV_HEADS;
  var x: vec4f;
  for (var i = 0; i < 2; i++) { // @unroll
    let unit = 2u * lane + i;
    var pair = qkv[row + unit];
    if (rotates) {
      pair = turned(pair, qkv[row + partner_of(unit)], turn_of(unit, position));
    }
    x[2u * i] = pair.x;
    x[2u * i + 1u] = pair.y;
  }
  if (HAS_HADAMARD) {
    x = hadamard(x, lane);
  }
  if (head < N_HEADS) {
    q[((params.token_begin + token) * N_HEADS + head) * HEAD_DIM4 + lane] = x;
    return;
  }

  let first = lane / 8u * 8u;
  let stored = stored_quad(x, lane, lane, first, min(first + 7u, HEAD_DIM4 - 1u));
  let slot = (head - N_HEADS) % N_KV_HEADS * params.capacity + position % params.capacity;
  if (lane % QUADS_OF_WORD == 0u) {
    let at = (slot * HEAD_DIM4 + lane) / QUADS_OF_WORD;
    if (rotates) {
      k[at] = stored.word;
    } else {
      v[at] = stored.word;
    }
  }
  let bound = vec4f(stored.bound);
  offer(bound, lane, STAGES + 3u);
  if (lane % 16u == 0u) {
    // A scale that no group has is zero.
    let next = select(offered_by(lane + 8u, STAGES + 3u, bound).x, 0.0, lane + 8u >= HEAD_DIM4);
    store_bounds(vec2f(stored.bound, next), slot, lane / 16u, rotates);
  }
}
