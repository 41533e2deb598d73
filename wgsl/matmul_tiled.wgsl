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
// unrolling, which spares naga's clamp on every read.

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
  let staged_row = min(first_row + index, params.rows - 1u);
  let staged_k4 = index % 4u;
  var begin4: array<u32, 4>;
  for (var i = 0; i < 4; i++) { // @unroll
    begin4[i] = params.x_begin4 + min(first_token + index / 4u + i * 16u, params.n_rows - 1u) * params.columns4;
  }
  let row_block = index % 8u;
  let token_block = index / 8u;
  var total: array<array<vec4f, 2>, 8>;  // [vector][row / 4]
  for (var g = 0u; g < params.groups; g++) {
    let pair = scale_pair(staged_row, g / 2u, params.groups);
    let scale = select(pair.xy, pair.zw, (g & 1u) != 0u);
    let weight_begin = (staged_row * params.groups + g) * LOADS;
    for (var half = 0; half < 2; half++) { // @unroll
      var w: array<vec4f, 4>;
      for (var j = 0; j < 4; j++) { // @unroll
        w[j] = quad(weight[weight_begin + (half * 4u + j) / QUADS], (half * 4u + j) % QUADS);
        if (HAS_MIN) {
          w[j] = fma(vec4f(scale.x), w[j], vec4f(scale.y));
        } else if (SCALED) {
          w[j] *= scale.x;
        }
      }
      let k4 = g * 8u + half * 4u + staged_k4;
      var value: array<vec4f, 4>;
      for (var i = 0; i < 4; i++) { // @unroll
        if (TAIL) {
          value[i] = select(vec4f(), x[begin4[i] + min(k4, params.columns4 - 1u)], k4 < params.columns4);
        } else {
          value[i] = x[begin4[i] + k4];
        }
      }
      workgroupBarrier();
      for (var j = 0; j < 4; j++) { // @unroll
        for (var c = 0; c < 4; c++) { // @unroll
          w_tile[index / 4u][j * 4u + c][index % 4u] = w[j][c];
        }
      }
      for (var i = 0; i < 4; i++) { // @unroll
        for (var c = 0; c < 4; c++) { // @unroll
          x_tile[index / 16u + i * 4u][staged_k4 * 4u + c][(index / 4u) % 4u] = value[i][c];
        }
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
  }
  for (var i = 0; i < 8; i++) { // @unroll
    let token = first_token + i / 4u * 32u + token_block * 4u + i % 4u;
    for (var b = 0; b < 8; b++) { // @unroll
      let o = first_row + b / 4u * 32u + row_block * 4u + b % 4u;
      if (token < params.n_rows && o < params.rows) {
        let at = params.out_begin + token * params.out_stride + o;
        var sum = total[i][b / 4u][b % 4u];
        if (params.has_bias != 0u) {
          sum += bias[params.bias_begin + o];
        }
        if (params.add != 0u) {
          sum += out[at];
        }
        out[at] = sum;
      }
    }
  }
}
