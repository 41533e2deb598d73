// Matrix times several vectors, for GPUs: a workgroup computes 64 rows for 64 vectors through workgroup memory.
//
//   out[t][out_begin + o] (+)= sum_k W[o][k] x[t][k] + bias[bias_begin + o]
//
// Grid: (ceil(rows / 64), ceil(n_rows / 64)) workgroups of 64 invocations; an invocation holds 8 x 8 sums.
// Prelude: LOADS and QUADS (see the format), TAIL (the last group of a row has fewer than 32 columns).
// Joined after a file of formats/.
//
// A sum runs over k in order, so that it does not depend on the tile it falls in. A step takes 16 k, half a group, so
// that both tiles fit in 16 KiB with room to spare. The tiles lie [block of 4 rows][k] with a gap of one vec4 after
// each block: neighbouring invocations then read different banks, and k, the inner index, is a literal after
// unrolling, which spares naga's clamp on every read. What lost: x in int8 by blocks of 32 for dot4I8Packed, which a GPU
// does run as one instruction: it moved SmolLM2-135M's log-probabilities in q4 by 0.04 on average and 0.47 at most, where
// rounding may move them by thousandths, and its perplexity by 0.6%.

struct Params {
  rows: u32,
  groups: u32,  // groups in a row
  columns4: u32,  // columns / 4
  x_begin4: u32,  // first vec4 of x
  out_begin: u32,  // index of vector 0, row 0 in out
  bias_begin: u32,  // index of row 0 in bias
  has_bias: u32,
  add: u32,  // whether to add to out
  n_rows: u32,  // vectors
  out_stride: u32,  // from one vector to the next in out
}

@group(0) @binding(2) var<storage, read> x: array<vec4f>;  // (n_rows, columns)
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (rows) if has_bias
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // (n_rows, out_stride)
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> w_tile: array<array<vec4f, 17>, 16>;  // (64 / 4 rows, 16 k and a gap) of 4 rows
var<workgroup> x_tile: array<array<vec4f, 17>, 16>;  // (64 / 4 vectors, 16 k and a gap) of 4 vectors

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) index: u32) {
  let first_row = workgroup.x * 64u;
  let first_token = workgroup.y * 64u;
  // This invocation stages 4 k of 4 rows and of 4 vectors, in whole vec4: writes to parts of one would race.
  let staged_block = index / 4u;
  let staged_k4 = index % 4u;
  var row: array<u32, 4>;
  var begin4: array<u32, 4>;
  for (var i = 0; i < 4; i++) { // @unroll
    row[i] = min(first_row + staged_block * 4u + i, params.rows - 1u);
    begin4[i] = params.x_begin4 + min(first_token + staged_block * 4u + i, params.n_rows - 1u) * params.columns4;
  }
  let row_block = index % 8u;
  let token_block = index / 8u;
  var total: array<array<vec4f, 2>, 8>;  // [vector][row / 4]
  for (var step = 0u; step < 2u * params.groups; step++) {
    let g = step / 2u;
    let inside = step % 2u * 4u + staged_k4;
    let k4 = g * 8u + inside;
    var w: array<vec4f, 4>;
    var value: array<vec4f, 4>;
    for (var i = 0; i < 4; i++) { // @unroll
      w[i] = quad(load_weights(row[i], g * LOADS + inside / QUADS, params.groups), inside % QUADS);
      if (SCALED) {
        let pair = scale_pair(row[i], g / 2u, params.groups);
        let scale = select(pair.xy, pair.zw, (g & 1u) != 0u);
        w[i] = fma(vec4f(scale.x), w[i], vec4f(scale.y));
      }
      if (TAIL) {
        value[i] = select(vec4f(), x[begin4[i] + min(k4, params.columns4 - 1u)], k4 < params.columns4);
      } else {
        value[i] = x[begin4[i] + k4];
      }
    }
    workgroupBarrier();
    for (var c = 0; c < 4; c++) { // @unroll
      w_tile[staged_block][staged_k4 * 4u + c] = vec4f(w[0][c], w[1][c], w[2][c], w[3][c]);
      x_tile[staged_block][staged_k4 * 4u + c] = vec4f(value[0][c], value[1][c], value[2][c], value[3][c]);
    }
    workgroupBarrier();
    for (var k = 0; k < 16; k++) { // @unroll
      let w_low = w_tile[row_block][k];
      let w_high = w_tile[row_block + 8u][k];
      let x_low = x_tile[token_block][k];
      let x_high = x_tile[token_block + 8u][k];
      for (var c = 0; c < 4; c++) { // @unroll
        total[c][0] = fma(vec4f(x_low[c]), w_low, total[c][0]);
        total[c][1] = fma(vec4f(x_low[c]), w_high, total[c][1]);
        total[c + 4u][0] = fma(vec4f(x_high[c]), w_low, total[c + 4u][0]);
        total[c + 4u][1] = fma(vec4f(x_high[c]), w_high, total[c + 4u][1]);
      }
    }
  }
  // Through the tiles again, 32 vectors at a time, so that neighbouring invocations write neighbouring outputs.
  for (var half = 0; half < 2; half++) { // @unroll
    workgroupBarrier();
    for (var c = 0; c < 4; c++) { // @unroll
      let t = token_block % 4u * 4u + c;
      if (token_block < 4u) {
        w_tile[t][row_block] = total[half * 4u + c][0];
        w_tile[t][row_block + 8u] = total[half * 4u + c][1];
      } else {
        x_tile[t][row_block] = total[half * 4u + c][0];
        x_tile[t][row_block + 8u] = total[half * 4u + c][1];
      }
    }
    workgroupBarrier();
    for (var t = 0u; t < 32u; t++) {
      let token = first_token + half * 32u + t;
      let o = first_row + index;
      if (token < params.n_rows && o < params.rows) {
        var sum = 0.0;
        if (t < 16u) {
          sum = w_tile[t][index / 4u][index % 4u];
        } else {
          sum = x_tile[t - 16u][index / 4u][index % 4u];
        }
        if (params.has_bias != 0u) {
          sum += bias[params.bias_begin + o];
        }
        let at = params.out_begin + token * params.out_stride + o;
        if (params.add != 0u) {
          sum += out[at];
        }
        out[at] = sum;
      }
    }
  }
}
