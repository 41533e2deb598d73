// Rotary position embedding of queries and keys (Su et al., 2021), fused with the split of the QKV projection and the
// write into the KV cache.
//
//   (x_j, x_{j + R/2}) -> (x_j cos - x_{j + R/2} sin, x_{j + R/2} cos + x_j sin)   for j < R/2, R = rotary_dim
//
// with the table's row of the token's position. Elements from R on, and all values, pass through unchanged.
//
// Grid: x = blocks of 64 units, y = tokens. A unit is 4 elements of a head: two neighbouring pairs, or 4 that pass.
// Prelude: N_HEADS, N_KV_HEADS, HEAD_DIM4 (head_dim / 4), ROTARY_DIM4 (rotary_dim / 4).
// Joined after a kv_write_* file of formats/.

struct Params {
  n_tokens: u32,
  capacity: u32,  // rows of the cache, a ring: position p is in row p mod capacity
  token_begin: u32,  // row of token 0 in qkv and q
}

@group(0) @binding(0) var<storage, read> qkv: array<vec2f>;  // (token_begin + n_tokens, N_HEADS + 2 N_KV_HEADS, head_dim)
@group(0) @binding(1) var<storage, read> table: array<vec4f>;  // (n_positions, rotary_dim / 2, 2)
@group(0) @binding(2) var<storage, read> state: array<u32>;  // (8): [0] position of token 0
@group(0) @binding(3) var<storage, read_write> q: array<vec2f>;  // (token_begin + n_tokens, N_HEADS, head_dim)
@group(0) @binding(4) var<storage, read_write> k: array<KvPair>;  // (N_KV_HEADS, capacity, head_dim)
@group(0) @binding(5) var<storage, read_write> v: array<KvPair>;  // (N_KV_HEADS, capacity, head_dim)
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.x / HEAD_DIM4;
  let unit = id.x % HEAD_DIM4;
  let n_heads = N_HEADS + 2u * N_KV_HEADS;
  let token = id.y;
  let position = state[0] + token;
  if (head >= n_heads) {
    return;
  }
  let rotates = head < N_HEADS + N_KV_HEADS && unit < ROTARY_DIM4;
  let first = select(2u * unit, unit, rotates);
  let second = select(2u * unit + 1u, unit + ROTARY_DIM4, rotates);
  let row = ((params.token_begin + token) * n_heads + head) * 2u * HEAD_DIM4;
  var a = qkv[row + first];
  var b = qkv[row + second];
  if (rotates) {
    let turn = table[position * ROTARY_DIM4 + unit];
    let rotated = a * turn.xz - b * turn.yw;
    b = b * turn.xz + a * turn.yw;
    a = rotated;
  }
  if (head < N_HEADS) {
    let target_row = ((params.token_begin + token) * N_HEADS + head) * 2u * HEAD_DIM4;
    q[target_row + first] = a;
    q[target_row + second] = b;
    return;
  }
  let slot = (head - N_HEADS) % N_KV_HEADS * params.capacity + position % params.capacity;
  let target_row = slot * 2u * HEAD_DIM4;
  if (head < N_HEADS + N_KV_HEADS) {
    k[target_row + first] = pack_pair(a);
    k[target_row + second] = pack_pair(b);
  } else {
    v[target_row + first] = pack_pair(a);
    v[target_row + second] = pack_pair(b);
  }
}
