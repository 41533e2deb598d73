// Matrix times several vectors, for software adapters: every invocation computes ROWS rows for TOKENS vectors.
//
//   y[t][o] = sum_k W[o][k] x[t][k] + bias[bias_begin + o]
//   out[t][out_begin + o] (+)= y[t][o];   with PER_OUTPUT 2 silu(y[t][o]) * y[t][rows / 2 + o], W being gate rows, then
//   up rows
//
// Grid: (ceil(rows / (8 * ROWS)), ceil(n_rows / TOKENS)) workgroups of 8 invocations.
// Prelude: ROWS (matrix rows an invocation), PER_OUTPUT (rows that make an output: 1 or 2), TOKENS (2, 4 or 8), AT_ONCE (8 / TOKENS, at most QUADS), TOUCHES (ROWS / 4,
// or 0), LOADS and QUADS (see the format), TAIL (the last group of a row has fewer than 32 columns).
// Joined after a file of formats/ and shared/silu. Needs subgroups of at least 8.
//
// The sums live in registers and run over k in order, so that none depends on the tile it falls in, nor on TOKENS.
// Mesa's llvmpipe makes every load a scalar loop over lanes, about 100 cycles for a vec4 in eight lanes, and loads take
// more than half of the time. Lane i therefore loads x of vector i % TOKENS, of AT_ONCE quads that follow one another,
// and broadcasts, one instruction each, spread it; and where loads are few enough, lines of the next workgroup's weights
// are touched as in matvec_direct. What lost: every lane loading x (a fifth as
// fast), more than 32 sums an invocation (slower, and seconds to compile), quads or pairs of groups in loops of their
// own (a third slower: unrolled they leave the instruction cache), touches of 16-bit weights (a tenth slower), scales of
// two groups in every other round (a tenth slower: a load that a branch leaves out takes half as long as one).

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

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let outputs = params.rows / PER_OUTPUT;
  let first = workgroup.x * (8u * ROWS / PER_OUTPUT) + lane;
  let first_token = workgroup.y * TOKENS;
  var row: array<u32, ROWS>;
  for (var r = 0; r < ROWS; r++) { // @unroll
    row[r] = min(first + r / PER_OUTPUT * 8u, outputs - 1u) + r % PER_OUTPUT * outputs;
  }
  let token_begin4 = params.x_begin4 + min(first_token + lane % TOKENS, params.n_rows - 1u) * params.columns4;
  let begin4 = token_begin4 + lane / TOKENS % AT_ONCE;
  let last4 = token_begin4 + params.columns4 - 1u;
  var total: array<array<f32, TOKENS>, ROWS>;
  let last_load = params.rows * params.groups * LOADS - 1u;
  let stretch = 8u * ROWS / PER_OUTPUT * params.groups * LOADS;
  let next = (workgroup.x + 1u) * stretch + lane * 4u;
  var touched = 0u;
  for (var g = 0u; g < params.groups; g++) {
    var scale: array<vec2f, ROWS>;
    if (SCALED) {
      for (var r = 0; r < ROWS; r++) { // @unroll
        scale[r] = scale_of(row[r], g, params.groups);
      }
    }
    for (var l = 0; l < LOADS; l++) { // @unroll
      for (var i = 0; i < TOUCHES; i++) { // @unroll
        let step = ((g * LOADS + l) * TOUCHES + i) * 32u;
        let up = select(0u, outputs * params.groups * LOADS - stretch, PER_OUTPUT == 2u && step >= stretch);
        touched ^= weight[min(next + step + up, last_load)].x;
      }
      var load: array<Load, ROWS>;
      for (var r = 0; r < ROWS; r++) { // @unroll
        load[r] = load_weights(row[r], g * LOADS + l, params.groups);
      }
      for (var first_j = 0; first_j < QUADS; first_j += AT_ONCE) { // @unroll
        let first_k4 = g * 8u + l * QUADS + first_j;
        let mine = x[select(begin4 + first_k4, min(begin4 + first_k4, last4), TAIL)];
        for (var i = 0; i < AT_ONCE; i++) { // @unroll
          if (!TAIL || first_k4 + i < params.columns4) {
            var w: array<vec4f, ROWS>;
            for (var r = 0; r < ROWS; r++) { // @unroll
              w[r] = quad(load[r], first_j + i);
              if (HAS_MIN) {
                w[r] = fma(vec4f(scale[r].x), w[r], vec4f(scale[r].y));
              } else if (SCALED) {
                w[r] *= scale[r].x;
              }
            }
            for (var t = 0; t < TOKENS; t++) { // @unroll
              let value = vec4f(
                subgroupBroadcast(mine.x, i * TOKENS + t),
                subgroupBroadcast(mine.y, i * TOKENS + t),
                subgroupBroadcast(mine.z, i * TOKENS + t),
                subgroupBroadcast(mine.w, i * TOKENS + t),
              );
              for (var r = 0; r < ROWS; r++) { // @unroll
                let own = w[r];
                let sum = fma(own.y, value.y, fma(own.x, value.x, total[r][t]));
                total[r][t] = fma(own.w, value.w, fma(own.z, value.z, sum));
              }
            }
          }
        }
      }
    }
  }
  for (var r = 0; r < ROWS; r += PER_OUTPUT) { // @unroll
    let o = first + r / PER_OUTPUT * 8u;
    var offset: array<f32, PER_OUTPUT>;
    for (var i = 0; i < PER_OUTPUT; i++) { // @unroll
      offset[i] = 0.0;
      if (params.has_bias != 0u) {
        offset[i] = bias[params.bias_begin + row[r + i]];
      }
    }
    for (var t = 0; t < TOKENS; t++) { // @unroll
      // A matrix has rows: the second condition never holds, but keeps the compiler from dropping the touches.
      if ((o < outputs && first_token + t < params.n_rows) || (params.rows == 0u && touched != 0u)) {
        let at = params.out_begin + (first_token + t) * params.out_stride + o;
        var value = total[r][t] + offset[0];
        if (PER_OUTPUT == 2u) {
          value = silu(value) * (total[r + PER_OUTPUT - 1u][t] + offset[PER_OUTPUT - 1u]);
        }
        if (params.add != 0u) {
          value += out[at];
        }
        out[at] = value;
      }
    }
  }
}
