// Matrix times one vector, for software adapters: every invocation computes ROWS rows by itself.
//
//   out[out_begin + o] (+)= sum_k W[o][k] x[x_begin + k] + bias[bias_begin + o]
//
// Grid: ceil(rows / (WORKGROUP * ROWS)) workgroups of WORKGROUP invocations.
// Prelude: WORKGROUP, ROWS (rows an invocation), LOADS and QUADS (see the format), TAIL (the last group of a row has
// fewer than 32 columns), BIAS, ADD (keep what is in out).
// Joined after a file of formats/.
//
// All lanes read the same x, which a software adapter loads once and broadcasts; there are no barriers.

struct Params {
  rows: u32,
  groups: u32,  // groups in a row
  columns4: u32,  // columns / 4
  x_begin4: u32,  // first vec4 of x
  out_begin: u32,  // index of row 0 in out
  bias_begin: u32,  // index of row 0 in bias
}

@group(0) @binding(2) var<storage, read> x: array<vec4f>;  // (columns)
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (rows) if BIAS
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // (rows)
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * (WORKGROUP * ROWS) + lane;
  var row: array<u32, ROWS>;
  var total: array<vec4f, ROWS>;
  for (var r = 0; r < ROWS; r++) { // @unroll
    row[r] = min(first + r * WORKGROUP, params.rows - 1u);
  }
  for (var g = 0u; g < params.groups; g++) {
    // Spelled out: naga does not set a variable back to zero where a loop comes round to its bare declaration.
    var sum = array<vec4f, ROWS>();
    var x_sum = vec4f();
    for (var l = 0; l < LOADS; l++) { // @unroll
      var load: array<vec4u, ROWS>;
      for (var r = 0; r < ROWS; r++) { // @unroll
        load[r] = weight[(row[r] * params.groups + g) * LOADS + l];
      }
      for (var j = 0; j < QUADS; j++) { // @unroll
        let k4 = g * 8u + l * QUADS + j;
        if (!TAIL || k4 < params.columns4) {
          let value = x[params.x_begin4 + k4];
          if (HAS_MIN) {
            x_sum += value;
          }
          for (var r = 0; r < ROWS; r++) { // @unroll
            sum[r] = fma(quad(load[r], j), value, sum[r]);
          }
        }
      }
    }
    for (var r = 0; r < ROWS; r++) { // @unroll
      if (SCALED) {
        let scale = scale_of(row[r], g, params.groups);
        total[r] = fma(vec4f(scale.x), sum[r], total[r]);
        if (HAS_MIN) {
          total[r] = fma(vec4f(scale.y), x_sum, total[r]);
        }
      } else {
        total[r] += sum[r];
      }
    }
  }
  for (var r = 0; r < ROWS; r++) { // @unroll
    let o = first + r * WORKGROUP;
    if (o < params.rows) {
      var value = (total[r].x + total[r].y) + (total[r].z + total[r].w);
      if (BIAS) {
        value += bias[params.bias_begin + o];
      }
      if (ADD) {
        value += out[params.out_begin + o];
      }
      out[params.out_begin + o] = value;
    }
  }
}
