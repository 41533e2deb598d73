// FlashAttention-2 (Dao, 2023) for a chunk of tokens, for GPUs: a workgroup takes TILE query rows through tiles of TILE
// keys.
//
//   out[t][h] = sum_p softmax_p(scale * q[t][h] . k[g][p]) v[g][p]
//   over keys position + t - window < p <= position + t, g = h / GROUP_SIZE
//
// Tiles are visited from key 0 on with a running maximum and sum (online softmax); tiles above the diagonal are not
// visited. A row is a token of one query head; the heads of a group are neighbouring rows, so that they share the tile.
// Of SIDE x SIDE invocations each computes 4 x 4 scores, from slices of q and k in workgroup memory, and 4 rows of every
// SIDE-th quad of the output. Weights pass through the same memory, which takes 16 KiB where SIDE is 16: all that some
// adapters have. SwiftShader clears it by a store for each element in each subgroup, which took it 2 s to compile for
// 16 KiB and 0.6 s for the 4 of SIDE 8.
//
// A row's result does not depend on the rows beside it: tiles lie at multiples of TILE, and a tile that the row cannot
// see leaves it unchanged to the bit. Where keys of the window may lie past the ring's end, capacity is a multiple of
// TILE, so that a tile is one run of rows.
//
// Grid: x = blocks of TILE rows, those with most keys first; y = KV heads. Long chunks take several dispatches, each of
// some blocks.
// Prelude: GROUP_SIZE (n_heads / n_kv_heads), N_HEADS, HEAD_DIM4 (head_dim / 4), SIDE (8 or 16), SLICE
// (SIDE / 2), PARTS (ceil(HEAD_DIM4 / SIDE)).
// Joined after a kv_read_* file of formats/ and shared/online_softmax.wgsl.

struct Params {
  n_tokens: u32,
  capacity: u32,  // rows of the cache, a ring: position p is in row p mod capacity
  scale: f32,  // of the scores, times log2(e)
  first_block: u32,  // of the chunk's blocks of rows
  n_blocks: u32,  // for the host
  kv_len: u32,  // for the host: a bound of the keys that the last row sees
  window: u32,  // keys that a token sees, its own included
  token_begin: u32,  // row of token 0 in q and out
}

@group(0) @binding(0) var<storage, read> q: array<vec4f>;  // (token_begin + n_tokens, N_HEADS, head_dim)
@group(0) @binding(1) var<storage, read> k: array<KvWord>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(2) var<storage, read> v: array<KvWord>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(3) var<storage, read> state: array<u32>;  // (8): [0] position of token 0
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;  // (token_begin + n_tokens, N_HEADS, head_dim)
@group(0) @binding(5) var<uniform> params: Params;

const TILE = 4u * SIDE;  // rows, and keys

// In turn: slices, of SLICE quads of the head, of q (SLICE, TILE) and k (SLICE, TILE); maxima (SIDE, SIDE); weights (TILE
// rows, SIDE quads of keys).
var<workgroup> tile: array<vec4f, TILE * SIDE>;

// Index of a row's first quad in q and out.
fn row_start(row: u32, kv_head: u32) -> u32 {
  return ((params.token_begin + row / GROUP_SIZE) * N_HEADS + kv_head * GROUP_SIZE + row % GROUP_SIZE) * HEAD_DIM4;
}

// Where row or key `i` of quad d of a slice stands: turned around so that 8 lanes which write 8 quads of one row, and
// 16 lanes which read one quad of 16 keys, reach different banks.
fn slot(d: u32, i: u32) -> u32 {
  return d * TILE + (i ^ d);
}

@compute @workgroup_size(SIDE * SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let first_row = (params.first_block + groups.x - 1u - group.x) * TILE;
  let n_rows = params.n_tokens * GROUP_SIZE;
  let position = state[0];
  let kv_len = position + (min(first_row + TILE, n_rows) - 1u) / GROUP_SIZE + 1u;
  let kv_row = group.y * params.capacity;
  let across = lane % SIDE;  // keys across + SIDE i, then quads across + SIDE j of the output
  let down = lane / SIDE;  // rows down + SIDE r

  var acc: array<array<vec4f, PARTS>, 4>;
  var row_max = vec4f(LOWEST);  // of rows r = 0 to 3
  var row_sum = vec4f(0.0);  // of the keys that this invocation had

  // Keys that the first row's window has left behind are behind the others' too.
  let oldest = max(position + first_row / GROUP_SIZE + 1u, params.window) - params.window;
  let first_tile = oldest / TILE * TILE;
  var lap = first_tile / params.capacity * params.capacity;  // position in row 0
  for (var first_key = first_tile; first_key < kv_len; first_key += TILE) {
    lap += select(0u, params.capacity, first_key - lap >= params.capacity);
    var score: array<vec4f, 4>;  // of 4 rows: 4 keys each
    for (var r = 0; r < 4; r++) { // @unroll
      score[r] = vec4f(0.0);  // naga does not clear a variable that a loop declares again
    }
    for (var first_quad = 0u; first_quad < HEAD_DIM4; first_quad += SLICE) {
      workgroupBarrier();
      for (var i = lane; i < SLICE * TILE; i += SIDE * SIDE) {
        let d = first_quad + i % SLICE;
        let row = first_row + i / SLICE;
        let key = first_key + i / SLICE;
        // What lies past the head, the rows or the keys is zero.
        var a = vec4f(0.0);
        var b = vec4f(0.0);
        if (d < HEAD_DIM4 && row < n_rows) {
          a = q[row_start(row, group.y) + d] * params.scale;
        }
        if (d < HEAD_DIM4 && key < kv_len) {
          let stored = kv_row + key - lap;
          b = key_quad(stored * HEAD_DIM4, d, key_scales(stored, d / 16u)[d / 8u % 2u]);
        }
        tile[slot(i % SLICE, i / SLICE)] = a;
        tile[SLICE * TILE + slot(i % SLICE, i / SLICE)] = b;
      }
      workgroupBarrier();
      for (var d = 0; d < SLICE; d++) { // @unroll
        let key0 = tile[SLICE * TILE + slot(d, across)];
        let key1 = tile[SLICE * TILE + slot(d, across + SIDE)];
        let key2 = tile[SLICE * TILE + slot(d, across + 2u * SIDE)];
        let key3 = tile[SLICE * TILE + slot(d, across + 3u * SIDE)];
        for (var r = 0; r < 4; r++) { // @unroll
          let query = tile[slot(d, down + SIDE * r)];
          score[r] += vec4f(dot(query, key0), dot(query, key1), dot(query, key2), dot(query, key3));
        }
      }
    }

    let key = first_key + across + SIDE * vec4u(0u, 1u, 2u, 3u);
    for (var r = 0; r < 4; r++) { // @unroll
      let last_key = position + min(first_row + down + SIDE * r, n_rows - 1u) / GROUP_SIZE;
      score[r] = select(vec4f(LOWEST), score[r], (key <= vec4u(last_key)) & (key + params.window > vec4u(last_key)));
    }
    workgroupBarrier();
    tile[across * SIDE + down] = vec4f(max4(score[0]), max4(score[1]), max4(score[2]), max4(score[3]));
    workgroupBarrier();
    var highest = row_max;
    for (var i = 0; i < SIDE; i++) { // @unroll
      highest = max(highest, tile[i * SIDE + down]);
    }
    workgroupBarrier();
    for (var r = 0; r < 4; r++) { // @unroll
      let rescale = rescale_of(row_max[r], highest[r]);
      score[r] = weights_of(score[r], highest[r]);
      row_sum[r] = row_sum[r] * rescale + dot(score[r], vec4f(1.0));
      tile[(down + SIDE * r) * SIDE + across] = score[r];
      for (var j = 0; j < PARTS; j++) { // @unroll
        acc[r][j] *= rescale;
      }
    }
    row_max = highest;
    workgroupBarrier();

    for (var c = 0u; c < SIDE; c++) {
      for (var r = 0; r < 4; r++) { // @unroll
        score[r] = tile[(down + SIDE * r) * SIDE + c];
      }
      for (var i = 0; i < 4; i++) { // @unroll
        // Keys past the last visible one may never have been written: the last one stands in, and its weight is 0.
        let row = kv_row + min(first_key + c + SIDE * i, kv_len - 1u) - lap;
        for (var j = 0; j < PARTS; j++) { // @unroll
          let d = across + SIDE * j;
          let scale = value_scales(row, d / 16u)[d / 8u % 2u];
          let value = value_quad(row * HEAD_DIM4, min(d, HEAD_DIM4 - 1u), scale);
          for (var r = 0; r < 4; r++) { // @unroll
            acc[r][j] += score[r][i] * value;
          }
        }
      }
    }
  }

  workgroupBarrier();
  tile[across * SIDE + down] = row_sum;
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var i = 0; i < SIDE; i++) { // @unroll
    sum += tile[i * SIDE + down];
  }
  for (var r = 0; r < 4; r++) { // @unroll
    let row = first_row + down + SIDE * r;
    for (var j = 0; j < PARTS; j++) { // @unroll
      if (row < n_rows && across + SIDE * j < HEAD_DIM4) {
        out[row_start(row, group.y) + across + SIDE * j] = acc[r][j] / sum[r];
      }
    }
  }
}
