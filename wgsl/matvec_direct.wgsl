// Matrix times one vector, for software adapters: every invocation computes ROWS rows by itself, without barriers.
//
//   y[o] = sum_k W[o][k] x[x_begin + k] + bias[bias_begin + o]
//   out[out_begin + o] (+)= y[o];   with PER_OUTPUT 2 silu(y[o]) * y[rows / 2 + o], W being gate rows, then up rows
//
// With NORM, x is normalised on its way: gain[k] x[k] / sqrt(mean_k(x[k]^2) + eps) takes its place.
//
// Grid: ceil(rows / (8 * ROWS)) workgroups of 8 invocations.
// Prelude: ROWS (rows an invocation), PER_OUTPUT (rows that make an output: 1 or 2), NORM, TOUCHES (ROWS / 4), LOADS and
// QUADS (see the format), TAIL (the last group of a row has fewer than 32 columns), ODD (a row has an odd number of
// groups).
// Joined after a file of formats/. Needs subgroups of at least 8.
//
// Mesa's llvmpipe makes every load a scalar loop over lanes, about 100 cycles for a vec4 in eight lanes, whatever the
// address. So loads are counted, not bytes: lane i loads the i-th vec4 of the group's x, once for all rows, and
// broadcasts, one instruction each, spread it; and all loads of weights come before their use, so that several cache
// misses are under way at once. What lost: every lane loading x (a third slower), one row an invocation (half as fast),
// six or eight (no faster, twice as long to compile), lanes along k instead of rows (a quarter as fast).

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

fn biased(sum: f32, row: u32) -> f32 {
  if (params.has_bias != 0u) {
    return sum + bias[params.bias_begin + row];
  }
  return sum;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let outputs = params.rows / PER_OUTPUT;
  let first = workgroup.x * (8u * ROWS / PER_OUTPUT) + lane;
  var row: array<u32, ROWS>;
  var total: array<f32, ROWS>;
  for (var r = 0; r < ROWS; r++) { // @unroll
    row[r] = min(first + r / PER_OUTPUT * 8u, outputs - 1u) + r % PER_OUTPUT * outputs;
  }
  // A row is short and the next one is elsewhere, so that no prefetcher keeps up: touching the lines of the next
  // workgroup's rows brings them into the cache in time.
  let last_load = params.rows * params.groups * LOADS - 1u;
  let stretch = 8u * ROWS / PER_OUTPUT * params.groups * LOADS;
  let next = (workgroup.x + 1u) * stretch + lane * 4u;
  var touched = 0u;
  var squares = 0.0;
  for (var pair = 0u; pair < (params.groups + 1u) / 2u; pair++) {
    var scale: array<vec4f, ROWS>;
    if (SCALED) {
      for (var r = 0; r < ROWS; r++) { // @unroll
        scale[r] = scale_pair(row[r], pair, params.groups);
      }
    }
    for (var half = 0; half < 2; half++) { // @unroll
      let g = 2u * pair + half;
      if (half == 0u || !ODD || g < params.groups) {
        let k4 = g * 8u + (lane & 7u);
        var mine = x[params.x_begin4 + select(k4, min(k4, params.columns4 - 1u), TAIL)];
        if (TAIL) {
          mine = select(vec4f(), mine, k4 < params.columns4);
        }
        if (NORM) {
          squares += dot(mine, mine);
          mine *= gain[select(k4, min(k4, params.columns4 - 1u), TAIL)];
        }
        // Spelled out: naga does not set a variable back to zero where a loop comes round to its bare declaration.
        var sum = array<f32, ROWS>();
        var x_sum = 0.0;
        for (var l = 0; l < LOADS; l++) { // @unroll
          for (var i = 0; i < TOUCHES; i++) { // @unroll
            let step = (g * (TOUCHES * LOADS) + l * TOUCHES + i) * 32u;
            let up = select(0u, outputs * params.groups * LOADS - stretch, PER_OUTPUT == 2u && step >= stretch);
            touched ^= weight[min(next + step + up, last_load)].x;
          }
          var load: array<Load, ROWS>;
          for (var r = 0; r < ROWS; r++) { // @unroll
            load[r] = load_weights(row[r], g * LOADS + l, params.groups);
          }
          for (var j = 0; j < QUADS; j++) { // @unroll
            let value = vec4f(
              subgroupBroadcast(mine.x, l * QUADS + j),
              subgroupBroadcast(mine.y, l * QUADS + j),
              subgroupBroadcast(mine.z, l * QUADS + j),
              subgroupBroadcast(mine.w, l * QUADS + j),
            );
            if (HAS_MIN) {
              x_sum += (value.x + value.y) + (value.z + value.w);
            }
            for (var r = 0; r < ROWS; r++) { // @unroll
              let w = quad(load[r], j);
              sum[r] = fma(w.w, value.w, fma(w.z, value.z, fma(w.y, value.y, fma(w.x, value.x, sum[r]))));
            }
          }
        }
        for (var r = 0; r < ROWS; r++) { // @unroll
          if (SCALED) {
            total[r] = fma(scale[r][2u * half], sum[r], total[r]);
            if (HAS_MIN) {
              total[r] = fma(scale[r][2u * half + 1u], x_sum, total[r]);
            }
          } else {
            total[r] += sum[r];
          }
        }
      }
    }
  }
  var scale = 1.0;
  if (NORM) {
    var sum = 0.0;
    for (var i = 0; i < 8; i++) { // @unroll
      sum += subgroupBroadcast(squares, i);
    }
    scale = 1.0 / sqrt(sum / f32(4u * params.columns4) + params.eps);
  }
  for (var r = 0; r < ROWS; r += PER_OUTPUT) { // @unroll
    let o = first + r / PER_OUTPUT * 8u;
    // A matrix has rows: the second condition never holds, but keeps the compiler from dropping the touches.
    if (o < outputs || (params.rows == 0u && touched != 0u)) {
      var value = biased(total[r] * scale, o);
      if (PER_OUTPUT == 2u) {
        value = silu(value) * biased(total[r + PER_OUTPUT - 1u] * scale, outputs + o);
      }
      if (params.add != 0u) {
        value += out[params.out_begin + o];
      }
      out[params.out_begin + o] = value;
    }
  }
}
