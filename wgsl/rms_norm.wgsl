// Root mean square normalisation of rows (Zhang and Sennrich, 2019).
//
//   out[r][i] = weight[i] * x[f + r][i] / sqrt(mean_i(x[f + r][i]^2) + eps),  f = first_row
//
// Grid: one workgroup of 64 invocations a row.
// Prelude: DIM (row length), DIM4 (DIM / 4; rows are a multiple of 4 long).

struct Params {
  n_rows: u32,
  first_row: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;  // (first_row + n_rows, DIM)
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;  // (DIM)
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;  // (n_rows, DIM)
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = group.x * DIM4;
  let source = (params.first_row + group.x) * DIM4;
  var sum = 0.0;
  for (var i = lane; i < DIM4; i += 64u) {
    let value = x[source + i];
    sum += dot(value, value);
  }
  partial[lane] = sum;
  workgroupBarrier();
  // Eight lanes add eight values each: on a software adapter a barrier costs more than these additions.
  if (lane < 8u) {
    sum = 0.0;
    for (var i = 0; i < 8; i++) { // @unroll
      sum += partial[lane + i * 8u];
    }
    partial[lane] = sum;
  }
  workgroupBarrier();
  sum = 0.0;
  for (var i = 0; i < 8; i++) { // @unroll
    sum += partial[i];
  }
  let scale = 1.0 / sqrt(sum / f32(DIM) + params.eps);
  for (var i = lane; i < DIM4; i += 64u) {
    out[base + i] = weight[i] * (x[source + i] * scale);
  }
}
