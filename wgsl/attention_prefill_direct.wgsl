// FlashAttention-2 (Dao, 2023) for a chunk of tokens, for software adapters: every lane owns ROWS query rows.
//
//   out[t][h] = sum_p softmax_p(scale * q[t][h] . k[g][p]) v[g][p]
//   over keys position + t - window < p <= position + t, g = h / GROUP_SIZE
//
// Keys are taken in tiles of 8, from key 0 on, with a running maximum and sum (online softmax); tiles above the diagonal
// are not visited. A row is a token of one query head; the heads of a group are neighbouring rows.
//
// A workgroup is one subgroup of 8 lanes. Each lane loads one key of a tile and broadcasts it to the others, because
// such an adapter makes 8 loads of a load from one address, and a broadcast costs it next to nothing.
//
// A row's result does not depend on the rows beside it: tiles lie at multiples of 8, and a tile that the row cannot see
// leaves it unchanged to the bit. Where keys of the window may lie past the ring's end, capacity is a multiple of 8, so
// that a tile is one run of rows.
//
// A dispatch takes its blocks through one slab of keys, which so comes from memory once and from the processor's cache
// for every block but the first: each block through all of 65,536 keys in turn waited for memory a third of its time.
// Between slabs a row's sum of values is in out, not yet divided. Each slab has sums of its own, added to those before
// at its end: 65,536 terms in one row of float32 additions erred 17 times as much.
//
// What lost: a product of query and key statement by statement (naga takes twice as long to read it), and the query's
// vector in a variable of its own (read sooner still, a tenth slower).
//
// Grid: x = blocks of 8 * ROWS rows, y = KV heads. Long chunks take several dispatches a slab, each of some blocks.
// Prelude: ROWS, GROUP_SIZE (n_heads / n_kv_heads), N_HEADS, HEAD_DIM4 (head_dim / 4), SCALE_PAIRS
// (ceil(head_dim / 64)).
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
  slab_begin: u32,  // key, counted from the slab of the oldest one that token 0 sees
  slab: u32,  // keys of the slab, a multiple of 8
  is_last: u32,  // 1 where no later slab has keys for these blocks
}

@group(0) @binding(0) var<storage, read> q: array<vec4f>;  // (token_begin + n_tokens, N_HEADS, head_dim)
@group(0) @binding(1) var<storage, read> k: array<KvWord>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(2) var<storage, read> v: array<KvWord>;  // (n_kv_heads, capacity, head_dim)
@group(0) @binding(3) var<storage, read> state: array<u32>;  // (8): [0] position of token 0
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;  // (token_begin + n_tokens, N_HEADS, head_dim)
@group(0) @binding(5) var<storage, read_write> softmax: array<vec2f>;  // (token_begin + n_tokens, N_HEADS): maximum, sum
@group(0) @binding(6) var<uniform> params: Params;

// The oldest key that a row's window has. What the first row's has left behind is behind the others' too.
fn oldest_of(row: u32) -> u32 {
  return max(state[0] + row / GROUP_SIZE + 1u, params.window) - params.window;
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // Early blocks see few keys and late ones many. A software adapter gives each thread a run of blocks, so that short
  // and long ones have to alternate.
  let block = params.first_block + select(groups.x - 1u - group.x / 2u, group.x / 2u, group.x % 2u == 0u);
  let n_rows = params.n_tokens * GROUP_SIZE;
  let block_end = min((block + 1u) * 8u * ROWS, n_rows);
  let position = state[0];
  let kv_len = position + (block_end - 1u) / GROUP_SIZE + 1u;
  let first_row = block * 8u * ROWS + lane * ROWS;
  let kv_row = group.y * params.capacity;

  var start: array<u32, ROWS>;
  var last_key: array<u32, ROWS>;
  var query: array<array<vec4f, HEAD_DIM4>, ROWS>;
  var acc: array<array<vec4f, HEAD_DIM4>, ROWS>;
  var row_max: array<f32, ROWS>;
  var row_sum: array<f32, ROWS>;
  for (var r = 0; r < ROWS; r++) { // @unroll
    let row = min(first_row + r, n_rows - 1u);
    let token = row / GROUP_SIZE;
    start[r] = ((params.token_begin + token) * N_HEADS + group.y * GROUP_SIZE + row % GROUP_SIZE) * HEAD_DIM4;
    last_key[r] = position + token;
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      query[r][d] = q[start[r] + d] * params.scale;
    }
    row_max[r] = select(softmax[start[r] / HEAD_DIM4].x, LOWEST, params.slab_begin == 0u);
  }

  let slab = oldest_of(0u) / params.slab * params.slab + params.slab_begin;
  let first_tile = max(slab, oldest_of(block * 8u * ROWS) / 8u * 8u);
  let end = min(slab + params.slab, kv_len);
  var lap = first_tile / params.capacity * params.capacity;  // position in row 0
  for (var tile = first_tile; tile < end; tile += 8u) {
    lap += select(0u, params.capacity, tile - lap >= params.capacity);
    // Keys past the last visible one may never have been written: the last one stands in, and the mask drops it.
    let key = kv_row + min(tile + lane, kv_len - 1u) - lap;
    let first_quad = key * HEAD_DIM4;
    var scales: array<array<vec2f, SCALE_PAIRS>, 2>;  // of the key, and of its value
    for (var i = 0; i < SCALE_PAIRS; i++) { // @unroll
      scales[0][i] = key_scales(key, i);
      scales[1][i] = value_scales(key, i);
    }
    var score: array<array<f32, ROWS>, 8>;
    // naga does not clear a variable that a loop declares again.
    for (var i = 0; i < 8; i++) { // @unroll
      for (var r = 0; r < ROWS; r++) { // @unroll
        score[i][r] = 0.0;
      }
    }
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      let own = key_quad(first_quad, d, scales[0][d / 16u][d / 8u % 2u]);
      for (var i = 0; i < 8; i++) { // @unroll
        let key = subgroupBroadcast(own, i);
        for (var r = 0; r < ROWS; r++) { // @unroll
          let sum = fma(query[r][d].y, key.y, fma(query[r][d].x, key.x, score[i][r]));
          score[i][r] = fma(query[r][d].w, key.w, fma(query[r][d].z, key.z, sum));
        }
      }
    }
    for (var r = 0; r < ROWS; r++) { // @unroll
      var highest = row_max[r];
      for (var i = 0; i < 8; i++) { // @unroll
        score[i][r] = select(LOWEST, score[i][r], tile + i <= last_key[r] && tile + i + params.window > last_key[r]);
        highest = max(highest, score[i][r]);
      }
      let rescale = rescale_of(row_max[r], highest);
      row_max[r] = highest;
      row_sum[r] *= rescale;
      for (var i = 0; i < 8; i++) { // @unroll
        score[i][r] = weight_of(score[i][r], highest);
        row_sum[r] += score[i][r];
      }
      for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
        acc[r][d] *= rescale;
      }
    }
    for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
      let own = value_quad(first_quad, d, scales[1][d / 16u][d / 8u % 2u]);
      for (var i = 0; i < 8; i++) { // @unroll
        let value = subgroupBroadcast(own, i);
        for (var r = 0; r < ROWS; r++) { // @unroll
          acc[r][d] = fma(vec4f(score[i][r]), value, acc[r][d]);
        }
      }
    }
  }

  for (var r = 0; r < ROWS; r++) { // @unroll
    if (first_row + r < n_rows) {
      if (params.slab_begin > 0u) {
        let before = softmax[start[r] / HEAD_DIM4];
        let rescale = rescale_of(before.x, row_max[r]);
        row_sum[r] = fma(before.y, rescale, row_sum[r]);
        for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
          acc[r][d] = fma(out[start[r] + d], vec4f(rescale), acc[r][d]);
        }
      }
      softmax[start[r] / HEAD_DIM4] = vec2f(row_max[r], row_sum[r]);
      let divisor = select(1.0, row_sum[r], params.is_last == 1u);
      for (var d = 0; d < HEAD_DIM4; d++) { // @unroll
        out[start[r] + d] = acc[r][d] / divisor;
      }
    }
  }
}
