// Matrix times several vectors, for software adapters: every invocation computes ROWS rows for 8 vectors.
//
//   out[t][out_begin + o] (+)= sum_k W[o][k] x[t][k] + bias[bias_begin + o]
//
// Grid: (ceil(rows / (32 * ROWS)), ceil(n_rows / 8)) workgroups of 32 invocations.
// Prelude: ROWS (matrix rows an invocation), LOADS and QUADS (see the format), TAIL (the last group of a row has fewer
// than 32 columns).
// Joined after a file of formats/. Needs subgroups of at least 8.
//
// The sums live in registers and run over k in order, so that none depends on the tile it falls in. Mesa's llvmpipe
// makes every load a scalar loop over lanes, about 100 cycles for a vec4 in eight lanes: lane t therefore loads vector
// t's x, and broadcasts, one instruction each, spread it. What lost: every lane loading x (a fifth as fast), more than
// 32 sums an invocation (slower, and seconds to compile), one load of scales for two groups in nested loops (a third
// slower).

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

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let first = workgroup.x * (32u * ROWS) + lane;
  let first_token = workgroup.y * 8u;
  var row: array<u32, ROWS>;
  for (var r = 0; r < ROWS; r++) { // @unroll
    row[r] = min(first + r * 32u, params.rows - 1u);
  }
  let token = min(first_token + (subgroup_lane & 7u), params.n_rows - 1u);
  let begin4 = params.x_begin4 + token * params.columns4;
  var total: array<array<f32, 8>, ROWS>;
  for (var g = 0u; g < params.groups; g++) {
    var scale: array<vec2f, ROWS>;
    if (SCALED) {
      for (var r = 0; r < ROWS; r++) { // @unroll
        let pair = scale_pair(row[r], g / 2u, params.groups);
        scale[r] = select(pair.xy, pair.zw, (g & 1u) != 0u);
      }
    }
    for (var l = 0; l < LOADS; l++) { // @unroll
      var load: array<Load, ROWS>;
      for (var r = 0; r < ROWS; r++) { // @unroll
        load[r] = load_weights(row[r], g * LOADS + l, params.groups);
      }
      for (var j = 0; j < QUADS; j++) { // @unroll
        let k4 = g * 8u + l * QUADS + j;
        if (!TAIL || k4 < params.columns4) {
          let mine = x[begin4 + k4];
          var w: array<vec4f, ROWS>;
          for (var r = 0; r < ROWS; r++) { // @unroll
            w[r] = quad(load[r], j);
            if (HAS_MIN) {
              w[r] = fma(vec4f(scale[r].x), w[r], vec4f(scale[r].y));
            } else if (SCALED) {
              w[r] *= scale[r].x;
            }
          }
          for (var t = 0; t < 8; t++) { // @unroll
            let value = vec4f(
              subgroupBroadcast(mine.x, t),
              subgroupBroadcast(mine.y, t),
              subgroupBroadcast(mine.z, t),
              subgroupBroadcast(mine.w, t),
            );
            for (var r = 0; r < ROWS; r++) { // @unroll
              let sum = fma(w[r].y, value.y, fma(w[r].x, value.x, total[r][t]));
              total[r][t] = fma(w[r].w, value.w, fma(w[r].z, value.z, sum));
            }
          }
        }
      }
    }
  }
  for (var r = 0; r < ROWS; r++) { // @unroll
    let o = first + r * 32u;
    var offset = 0.0;
    if (params.has_bias != 0u) {
      offset = bias[params.bias_begin + row[r]];
    }
    for (var t = 0; t < 8; t++) { // @unroll
      if (o < params.rows && first_token + t < params.n_rows) {
        let at = params.out_begin + (first_token + t) * params.out_stride + o;
        var value = total[r][t] + offset;
        if (params.add != 0u) {
          value += out[at];
        }
        out[at] = value;
      }
    }
  }
}
