// Matrix times one vector, for GPUs: LANES lanes walk along ROWS rows together, with x in workgroup memory.
//
//   y[o] = sum_k W[o][k] x[x_begin + k] + bias[bias_begin + o]
//   out[out_begin + o] (+)= y[o];   with PER_OUTPUT 2 silu(y[o]) * y[rows / 2 + o], W being gate rows, then up rows
//
// With NORM, x is normalised on its way: gain[k] x[k] / sqrt(mean_k(x[k]^2) + eps) takes its place.
//
// Grid: ceil(rows / (128 / LANES * ROWS)) workgroups of 128 invocations.
// Prelude: LANES (8, 16 or 32), ROWS (at most LANES), PER_OUTPUT (rows that make an output: 1 or 2), NORM, LOADS and
// QUADS (see the format), SUBGROUP_LANES (lanes that add_lanes sums: at most LANES; 1 without subgroups).
// Joined after a file of formats/ and one of shared/add_lanes_*. Lanes of a subgroup must be neighbours in the
// workgroup, as they are on every adapter known.
//
// Neighbouring lanes load neighbouring vec4u of a row. Each load needs 4 * QUADS values of x, far apart from the next
// lane's: workgroup memory holds them with a gap after every eight vec4, so that no two lanes meet in a bank. The loads
// of the next step are issued before the current ones are used, the first ones even before x arrives.

struct Params {
  rows: u32,
  groups: u32,  // groups in a row
  columns4: u32,  // columns / 4
  x_begin4: u32,  // first vec4 of x
  out_begin: u32,  // index of row 0 in out
  bias_begin: u32,  // index of row 0 in bias
  has_bias: u32,
  add: u32,  // whether to add to out
  eps: f32,
}

@group(0) @binding(2) var<storage, read> x: array<vec4f>;  // (columns)
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (rows) if has_bias
@group(0) @binding(4) var<storage, read> gain: array<vec4f>;  // (columns) with NORM
@group(0) @binding(5) var<storage, read_write> out: array<f32>;  // (rows / PER_OUTPUT)
@group(0) @binding(6) var<uniform> params: Params;

const CHUNK4 = 512u;  // vec4s of x at a time
const SLOTS = 128u / LANES;  // row tiles in a workgroup
const PARTIALS = LANES / SUBGROUP_LANES;  // sums of a row that are left after add_lanes

var<workgroup> chunk: array<vec4f, CHUNK4 / 8u * 9u>;  // 8 vec4 of x and a gap, in turn
var<workgroup> partial: array<f32, SLOTS * ROWS * PARTIALS>;  // (slots, ROWS, PARTIALS)
var<workgroup> squares: array<f32, 128>;  // of the x that each invocation loaded; in the end 8 sums of them

fn biased(sum: f32, row: u32) -> f32 {
  if (params.has_bias != 0u) {
    return sum + bias[params.bias_begin + row];
  }
  return sum;
}

// Output o, from the sum of its row and, with PER_OUTPUT 2, that of its up row.
fn finish(o: u32, sum: f32, up: f32) {
  let outputs = params.rows / PER_OUTPUT;
  if (o < outputs) {
    let scale = norm_scale();
    var value = biased(sum * scale, o);
    if (PER_OUTPUT == 2u) {
      value = silu(value) * biased(up * scale, outputs + o);
    }
    if (params.add != 0u) {
      value += out[params.out_begin + o];
    }
    out[params.out_begin + o] = value;
  }
}

// 1 / rms(x) with NORM, once `squares` holds 8 sums.
fn norm_scale() -> f32 {
  if (!NORM) {
    return 1.0;
  }
  var sum = 0.0;
  for (var i = 0; i < 8; i++) { // @unroll
    sum += squares[i];
  }
  return 1.0 / sqrt(sum / f32(4u * params.columns4) + params.eps);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) index: u32) {
  let slot = index / LANES;
  let lane = index % LANES;
  let outputs = params.rows / PER_OUTPUT;
  let first = (workgroup.x * SLOTS + slot) * (ROWS / PER_OUTPUT);
  let row_loads = params.groups * LOADS;
  var row: array<u32, ROWS>;
  var total: array<f32, ROWS>;
  var ahead: array<Load, ROWS>;
  var ahead_scale: array<vec4f, ROWS>;
  // Past the end of a row, its last load is multiplied by x = 0.
  var at = min(lane, row_loads - 1u);
  for (var r = 0; r < ROWS; r++) { // @unroll
    row[r] = min(first + r / PER_OUTPUT, outputs - 1u) + r % PER_OUTPUT * outputs;
    ahead[r] = load_weights(row[r], at, params.groups);
    ahead_scale[r] = scale_pair(row[r], at / LOADS / 2u, params.groups);
  }
  var square = 0.0;
  for (var chunk_begin = 0u; chunk_begin < params.columns4; chunk_begin += CHUNK4) {
    workgroupBarrier();
    for (var i = index; i < CHUNK4; i += 128u) {
      let k4 = chunk_begin + i;
      let last = params.columns4 - 1u;
      var value = select(vec4f(), x[params.x_begin4 + min(k4, last)], k4 <= last);
      if (NORM) {
        square += dot(value, value);
        value *= gain[min(k4, last)];
      }
      chunk[i + (i >> 3u)] = value;
    }
    workgroupBarrier();
    let chunk_loads = min(CHUNK4, params.columns4 - chunk_begin);
    for (var begin = 0u; begin < chunk_loads; begin += LANES * QUADS) {
      let load = ahead;
      let scale = ahead_scale;
      let odd = ((at / LOADS) & 1u) != 0u;
      at = min((chunk_begin + begin) / QUADS + LANES + lane, row_loads - 1u);
      for (var r = 0; r < ROWS; r++) { // @unroll
        ahead[r] = load_weights(row[r], at, params.groups);
        ahead_scale[r] = scale_pair(row[r], at / LOADS / 2u, params.groups);
      }
      var sum = array<f32, ROWS>();
      var x_sum = 0.0;
      for (var j = 0; j < QUADS; j++) { // @unroll
        let k4 = begin + lane * QUADS + j;
        let value = chunk[k4 + (k4 >> 3u)];
        if (HAS_MIN) {
          x_sum += (value.x + value.y) + (value.z + value.w);
        }
        for (var r = 0; r < ROWS; r++) { // @unroll
          let w = quad(load[r], j);
          sum[r] = fma(w.w, value.w, fma(w.z, value.z, fma(w.y, value.y, fma(w.x, value.x, sum[r]))));
        }
      }
      for (var r = 0; r < ROWS; r++) { // @unroll
        if (SCALED) {
          total[r] = fma(select(scale[r].x, scale[r].z, odd), sum[r], total[r]);
          if (HAS_MIN) {
            total[r] = fma(select(scale[r].y, scale[r].w, odd), x_sum, total[r]);
          }
        } else {
          total[r] += sum[r];
        }
      }
    }
  }
  for (var r = 0; r < ROWS; r++) { // @unroll
    total[r] = add_lanes(total[r]);
  }
  if (NORM) {
    squares[index] = square;
    workgroupBarrier();
    if (index < 8u) {
      for (var i = 1u; i < 16u; i++) {
        square += squares[index + 8u * i];
      }
      squares[index] = square;
    }
    workgroupBarrier();
  }
  if (PARTIALS == 1u) {
    for (var r = 0; r < ROWS; r += PER_OUTPUT) { // @unroll
      if (lane == r) {
        finish(first + r / PER_OUTPUT, total[r], total[r + PER_OUTPUT - 1u]);
      }
    }
  } else {
    if (lane % SUBGROUP_LANES == 0u) {
      for (var r = 0; r < ROWS; r++) { // @unroll
        partial[(slot * ROWS + r) * PARTIALS + lane / SUBGROUP_LANES] = total[r];
      }
    }
    workgroupBarrier();
    if (index < SLOTS * ROWS / PER_OUTPUT) {
      var sum: array<f32, PER_OUTPUT>;
      for (var i = 0; i < PER_OUTPUT; i++) { // @unroll
        for (var j = 0u; j < PARTIALS; j++) {
          sum[i] += partial[(index * PER_OUTPUT + i) * PARTIALS + j];
        }
      }
      finish(workgroup.x * SLOTS * ROWS / PER_OUTPUT + index, sum[0], sum[PER_OUTPUT - 1u]);
    }
  }
}
