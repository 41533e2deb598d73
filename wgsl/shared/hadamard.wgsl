// Hadamard transform of a row that a workgroup holds, one quad an invocation, in blocks of 4 << STAGES elements:
//
//   y_i = sum_j (-1)^popcount(i & j) x_j / sqrt(block)
//
// It is its own inverse and keeps dot products.
// Prelude: STAGES, HEAD_DIM4 (the size of the workgroup, a multiple of 1 << STAGES).

var<workgroup> crossing: array<vec4f, 2u * HEAD_DIM4>;  // (2, HEAD_DIM4): in turn, so that a stage takes one barrier

fn hadamard(x: vec4f, lane: u32) -> vec4f {
  let pairs = vec4f(x.x + x.y, x.x - x.y, x.z + x.w, x.z - x.w);
  var y = vec4f(pairs.xy + pairs.zw, pairs.xy - pairs.zw);
  for (var s = 0; s < STAGES; s++) { // @unroll
    crossing[s % 2u * HEAD_DIM4 + lane] = y;
    workgroupBarrier();
    let other = crossing[s % 2u * HEAD_DIM4 + (lane ^ (1u << s))];
    y = other + select(y, -y, (lane & (1u << s)) != 0u);
  }
  return y / sqrt(f32(4u << STAGES));
}
