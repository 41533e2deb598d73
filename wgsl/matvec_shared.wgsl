// Matrix times one vector, for GPUs: LANES lanes walk along ROWS rows together, with x in workgroup memory.
//
//   out[out_begin + o] (+)= sum_k W[o][k] x[x_begin + k] + bias[bias_begin + o]
//
// Grid: ceil(rows / (128 / LANES * ROWS)) workgroups of 128 invocations.
// Prelude: LANES (8, 16 or 32), ROWS (at most LANES), LOADS and QUADS (see the format), SUBGROUP_LANES (lanes that
// add_lanes sums: at most LANES; 1 without subgroups).
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
}

@group(0) @binding(2) var<storage, read> x: array<vec4f>;  // (columns)
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (rows) if has_bias
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // (rows)
@group(0) @binding(5) var<uniform> params: Params;

const CHUNK4 = 512u;  // vec4s of x at a time
const SLOTS = 128u / LANES;  // row tiles in a workgroup
const PARTIALS = LANES / SUBGROUP_LANES;  // sums of a row that are left after add_lanes

var<workgroup> chunk: array<vec4f, CHUNK4 / 8u * 9u>;  // 8 vec4 of x and a gap, in turn
var<workgroup> partial: array<f32, SLOTS * ROWS * PARTIALS>;  // (slots, ROWS, PARTIALS)

fn finish(o: u32, sum: f32) {
  if (o < params.rows) {
    var value = sum;
    if (params.has_bias != 0u) {
      value += bias[params.bias_begin + o];
    }
    if (params.add != 0u) {
      value += out[params.out_begin + o];
    }
    out[params.out_begin + o] = value;
  }
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) index: u32) {
  let slot = index / LANES;
  let lane = index % LANES;
  let first = (workgroup.x * SLOTS + slot) * ROWS;
  let row_loads = params.groups * LOADS;
  var row: array<u32, ROWS>;
  var total: array<f32, ROWS>;
  var ahead: array<vec4u, ROWS>;
  var ahead_scale: array<vec4f, ROWS>;
  // Past the end of a row, its last load is multiplied by x = 0.
  var at = min(lane, row_loads - 1u);
  for (var r = 0; r < ROWS; r++) { // @unroll
    row[r] = min(first + r, params.rows - 1u);
    ahead[r] = weight[row[r] * row_loads + at];
    ahead_scale[r] = scale_pair(row[r], at / LOADS / 2u, params.groups);
  }
  for (var chunk_begin = 0u; chunk_begin < params.columns4; chunk_begin += CHUNK4) {
    workgroupBarrier();
    for (var i = index; i < CHUNK4; i += 128u) {
      let k4 = chunk_begin + i;
      let value = x[params.x_begin4 + min(k4, params.columns4 - 1u)];
      chunk[i + (i >> 3u)] = select(vec4f(), value, k4 < params.columns4);
    }
    workgroupBarrier();
    let chunk_loads = min(CHUNK4, params.columns4 - chunk_begin);
    for (var begin = 0u; begin < chunk_loads; begin += LANES * QUADS) {
      let load = ahead;
      let scale = ahead_scale;
      let odd = ((at / LOADS) & 1u) != 0u;
      at = min((chunk_begin + begin) / QUADS + LANES + lane, row_loads - 1u);
      for (var r = 0; r < ROWS; r++) { // @unroll
        ahead[r] = weight[row[r] * row_loads + at];
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
  if (PARTIALS == 1u) {
    for (var r = 0; r < ROWS; r++) { // @unroll
      if (lane == r) {
        finish(first + r, total[r]);
      }
    }
  } else {
    if (lane % SUBGROUP_LANES == 0u) {
      for (var r = 0; r < ROWS; r++) { // @unroll
        partial[(slot * ROWS + r) * PARTIALS + lane / SUBGROUP_LANES] = total[r];
      }
    }
    workgroupBarrier();
    if (index < SLOTS * ROWS) {
      var sum = 0.0;
      for (var i = 0u; i < PARTIALS; i++) {
        sum += partial[index * PARTIALS + i];
      }
      finish(workgroup.x * SLOTS * ROWS + index, sum);
    }
  }
}
