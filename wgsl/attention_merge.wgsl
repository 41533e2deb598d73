// Puts the splits of attention_decode together.
//
//   out[h] = sum_s 2^(max_s - max) partial_out_s / sum_s 2^(max_s - max) partial_sum_s,   max = max_s max_s
//
// and, where values are stored transformed by shared/hadamard.wgsl, takes that back.
//
// Grid: one workgroup of WORKGROUP invocations a query head. An invocation owns one quad of the head and every STRIPS-th
// split; then the strips are put together in the same way. Only splits that hold keys of the window are there, and those
// past the length that state tells are not read, so that the result does not depend on how many the host made room for.
// Prelude: WORKGROUP (at least STRIPS * HEAD_DIM4), STRIPS, SPLIT (keys of a split), N_HEADS, HEAD_DIM4 (head_dim / 4),
// HAS_HADAMARD, STAGES (log2 of a Hadamard block's quads), LANES (HEAD_DIM4).
// Joined after online_softmax, exchange_memory and hadamard of shared/.

struct Params {
  n_splits: u32,  // for the host: the real number follows from state
  window: u32,  // keys that a token sees, its own included
  out_row: u32,  // row of the token in out
}

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;  // (n_splits, N_HEADS, head_dim + 4): out, max, sum
@group(0) @binding(1) var<storage, read> state: array<u32>;  // (8): [0] position of the token
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;  // (out_row + 1, N_HEADS, head_dim)
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> strip_out: array<vec4f, WORKGROUP>;  // (STRIPS, head_dim)
var<workgroup> strip_max: array<f32, WORKGROUP>;
var<workgroup> strip_sum: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let oldest = max(state[0] + 1u, params.window) - params.window;
  let n_splits = state[0] / SPLIT - oldest / SPLIT + 1u;
  let d = lane % HEAD_DIM4;
  let strip = lane / HEAD_DIM4;
  var acc = vec4f(0.0);
  var highest = LOWEST;
  var sum = 0.0;
  if (strip < STRIPS) {
    for (var s = strip; s < n_splits; s += STRIPS) {
      let row = (s * N_HEADS + group.x) * (HEAD_DIM4 + 1u);
      let tail = partials[row + HEAD_DIM4];
      let new_max = max(highest, tail.x);
      let rescale = rescale_of(highest, new_max);
      let weight = rescale_of(tail.x, new_max);
      acc = acc * rescale + weight * partials[row + d];
      sum = sum * rescale + weight * tail.y;
      highest = new_max;
    }
  }
  strip_out[lane] = acc;
  strip_max[lane] = highest;
  strip_sum[lane] = sum;
  workgroupBarrier();
  var merged: vec4f;
  if (lane < HEAD_DIM4) {
    for (var s = 1u; s < STRIPS; s++) {
      highest = max(highest, strip_max[s * HEAD_DIM4 + lane]);
    }
    acc = vec4f(0.0);
    sum = 0.0;
    for (var s = 0u; s < STRIPS; s++) {
      // A strip that had no split has nothing but zeros.
      let weight = rescale_of(strip_max[s * HEAD_DIM4 + lane], highest);
      acc += weight * strip_out[s * HEAD_DIM4 + lane];
      sum += weight * strip_sum[s * HEAD_DIM4 + lane];
    }
    merged = acc / sum;
  }
  if (HAS_HADAMARD) {
    merged = hadamard(merged, lane);
  }
  if (lane < HEAD_DIM4) {
    out[(params.out_row * N_HEADS + group.x) * HEAD_DIM4 + lane] = merged;
  }
}
