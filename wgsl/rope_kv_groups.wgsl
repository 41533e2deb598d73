// Rotary position embedding of queries and keys (Su et al., 2021), fused with the split of the QKV projection and the
// write into a KV cache whose rows are codes in groups of 32 elements, each with a scale.
//
//   (x_j, x_{j + R/2}) -> (x_j cos - x_{j + R/2} sin, x_{j + R/2} cos + x_j sin)   for j < R/2, R = rotary_dim
//   code = x / step, rounded,   step from the group's element of largest magnitude (formats/kv_write_*)
//
// with the table's row of the token's position. Elements from R on, and all values, are not rotated. Steps are taken
// from what is stored of the scale, so that rounding the scale costs nothing.
//
// Grid: x = rows of a token (queries, keys, values), y = tokens; a workgroup of HEAD_DIM4 invocations a row, a quad each.
// Prelude: N_HEADS, N_KV_HEADS, HEAD_DIM4 (head_dim / 4, a multiple of 4), ROTARY_DIM4 (rotary_dim / 4).
// Joined after kv_write_q8, or shared/hadamard.wgsl and kv_write_q4, of formats/.

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

var<workgroup> extremes: array<f32, HEAD_DIM4>;  // of each quad: the element of largest magnitude
var<workgroup> errors: array<vec4f, HEAD_DIM4>;  // of each quad: its squared error with each m that is tried
var<workgroup> bounds: array<f32, HEAD_DIM4>;  // of each quad: its group's m
var<workgroup> codes: array<u32, HEAD_DIM4>;  // of each quad

fn further(a: f32, b: f32) -> f32 {
  return select(a, b, abs(b) > abs(a));
}

// The step that a stored m stands for.
fn stored_step(bound: f32) -> f32 {
  return step_of(unpack2x16float(pack2x16float(vec2f(bound, 0.0))).x);
}

// Elements in steps: zero where the step is.
fn in_steps(x: vec4f, step: f32) -> vec4f {
  return nearest(x * select(1.0 / step, 0.0, step == 0.0));
}

// Elements 2 unit and 2 unit + 1 of a row, rotated if they are of a query or a key.
fn pair_of(row: u32, unit: u32, position: u32, rotates: bool) -> vec2f {
  let own = qkv[row + unit];
  if (!rotates || unit >= 2u * ROTARY_DIM4) {
    return own;
  }
  if (unit < ROTARY_DIM4) {
    let turn = table[position * ROTARY_DIM4 + unit];
    return own * turn.xz - qkv[row + unit + ROTARY_DIM4] * turn.yw;
  }
  let turn = table[position * ROTARY_DIM4 + unit - ROTARY_DIM4];
  return own * turn.xz + qkv[row + unit - ROTARY_DIM4] * turn.yw;
}

@compute @workgroup_size(HEAD_DIM4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let token = group.y;
  let position = state[0] + token;
  let row = ((params.token_begin + token) * (N_HEADS + 2u * N_KV_HEADS) + head) * 2u * HEAD_DIM4;
  let rotates = head < N_HEADS + N_KV_HEADS;
  let turned = vec4f(pair_of(row, 2u * lane, position, rotates), pair_of(row, 2u * lane + 1u, position, rotates));
  let x = stored_row(turned, lane);
  if (head < N_HEADS) {
    q[((params.token_begin + token) * N_HEADS + head) * HEAD_DIM4 + lane] = x;
    return;
  }

  extremes[lane] = further(further(x.x, x.y), further(x.z, x.w));
  workgroupBarrier();
  var extreme = 0.0;
  for (var i = 0; i < 8; i++) { // @unroll
    // The last group may be half a one: its last quad stands in.
    extreme = further(extreme, extremes[min(lane / 8u * 8u + i, HEAD_DIM4 - 1u)]);
  }
  let tried = clamp(bounds_of(extreme), vec4f(-65504.0), vec4f(65504.0));
  var bound = tried.x;
  if (SEARCHES) {
    var own: vec4f;
    for (var i = 0; i < 4; i++) { // @unroll
      let off = x - in_steps(x, stored_step(tried[i])) * stored_step(tried[i]);
      own[i] = dot(off, off);
    }
    errors[lane] = own;
    workgroupBarrier();
    var sum = vec4f(0.0);
    for (var i = 0; i < 8; i++) { // @unroll
      if (lane / 8u * 8u + i < HEAD_DIM4) {
        sum += errors[lane / 8u * 8u + i];
      }
    }
    var least = sum.x;
    for (var i = 1; i < 4; i++) { // @unroll
      if (sum[i] < least) {
        least = sum[i];
        bound = tried[i];
      }
    }
  }
  bounds[lane] = bound;
  codes[lane] = codes_of(in_steps(x, stored_step(bound)), lane);
  workgroupBarrier();

  let slot = (head - N_HEADS) % N_KV_HEADS * params.capacity + position % params.capacity;
  if (lane % QUADS_OF_WORD == 0u) {
    var word = codes[lane];
    if (QUADS_OF_WORD == 2u) {
      word |= codes[lane + 1u];
    }
    let at = (slot * HEAD_DIM4 + lane) / QUADS_OF_WORD;
    if (rotates) {
      k[at] = word;
    } else {
      v[at] = word;
    }
  }
  if (lane % 16u == 0u) {
    // A scale that no group has is zero.
    let next = select(bounds[min(lane + 8u, HEAD_DIM4 - 1u)], 0.0, lane + 8u >= HEAD_DIM4);
    let word = pack2x16float(vec2f(bounds[lane], next));
    let first_scale = N_KV_HEADS * params.capacity * (HEAD_DIM4 / QUADS_OF_WORD);
    let at = first_scale + slot * ((HEAD_DIM4 + 15u) / 16u) + lane / 16u;
    if (rotates) {
      k[at] = word;
    } else {
      v[at] = word;
    }
  }
}
