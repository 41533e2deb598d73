// Matrix times several vectors, for software adapters: every invocation computes ROWS rows for TOKENS vectors.
//
//   out[t][out_begin + o] (+)= sum_k W[o][k] x[t][k] + bias[bias_begin + o]
//
// Grid: (ceil(rows / (WORKGROUP * ROWS)), ceil(n_rows / TOKENS)) workgroups of WORKGROUP invocations.
// Prelude: WORKGROUP, ROWS (matrix rows an invocation), TOKENS (vectors an invocation), LOADS and QUADS (see the
// format), TAIL (the last group of a row has fewer than 32 columns), BIAS, ADD (keep what is in out).
// Joined after a file of formats/.
//
// The tile of sums lives in registers. All lanes read the same x, which a software adapter loads once and broadcasts.
// Each sum runs over k in order, so that it does not depend on the tile it falls in.

struct Params {
  rows: u32,
  groups: u32,  // groups in a row
  columns4: u32,  // columns / 4
  x_begin4: u32,  // first vec4 of x
  out_begin: u32,  // index of vector 0, row 0 in out
  bias_begin: u32,  // index of row 0 in bias
  n_rows: u32,  // vectors
  out_stride: u32,  // from one vector to the next in out
}

@group(0) @binding(2) var<storage, read> x: array<vec4f>;  // (n_rows, columns)
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (rows) if BIAS
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // (n_rows, out_stride)
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * (WORKGROUP * ROWS) + lane;
  let first_token = group.y * TOKENS;
  var row: array<u32, ROWS>;
  for (var r = 0; r < ROWS; r++) { // @unroll
    row[r] = min(first + r * WORKGROUP, params.rows - 1u);
  }
  var begin4: array<u32, TOKENS>;
  for (var t = 0; t < TOKENS; t++) { // @unroll
    begin4[t] = params.x_begin4 + min(first_token + t, params.n_rows - 1u) * params.columns4;
  }
  var total: array<array<f32, TOKENS>, ROWS>;
  for (var g = 0u; g < params.groups; g++) {
    var scale: array<vec2f, ROWS>;
    for (var r = 0; r < ROWS; r++) { // @unroll
      scale[r] = scale_of(row[r], g, params.groups);
    }
    for (var l = 0; l < LOADS; l++) { // @unroll
      var load: array<vec4u, ROWS>;
      for (var r = 0; r < ROWS; r++) { // @unroll
        load[r] = weight[(row[r] * params.groups + g) * LOADS + l];
      }
      for (var j = 0; j < QUADS; j++) { // @unroll
        let k4 = g * 8u + l * QUADS + j;
        if (!TAIL || k4 < params.columns4) {
          var w: array<vec4f, ROWS>;
          for (var r = 0; r < ROWS; r++) { // @unroll
            w[r] = quad(load[r], j);
            if (HAS_MIN) {
              w[r] = fma(vec4f(scale[r].x), w[r], vec4f(scale[r].y));
            } else if (SCALED) {
              w[r] *= scale[r].x;
            }
          }
          for (var t = 0; t < TOKENS; t++) { // @unroll
            let value = x[begin4[t] + k4];
            for (var r = 0; r < ROWS; r++) { // @unroll
              total[r][t] = fma(w[r].x, value.x, total[r][t]);
              total[r][t] = fma(w[r].y, value.y, total[r][t]);
              total[r][t] = fma(w[r].z, value.z, total[r][t]);
              total[r][t] = fma(w[r].w, value.w, total[r][t]);
            }
          }
        }
      }
    }
  }
  for (var r = 0; r < ROWS; r++) { // @unroll
    let o = first + r * WORKGROUP;
    for (var t = 0; t < TOKENS; t++) { // @unroll
      if (o < params.rows && first_token + t < params.n_rows) {
        let at = params.out_begin + (first_token + t) * params.out_stride + o;
        var value = total[r][t];
        if (BIAS) {
          value += bias[params.bias_begin + o];
        }
        if (ADD) {
          value += out[at];
        }
        out[at] = value;
      }
    }
  }
}
