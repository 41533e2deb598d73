// Hadamard transform of rows that a workgroup holds, one quad an invocation, in blocks of 4 << STAGES elements:
//
//   y_i = sum_j (-1)^popcount(i & j) x_j / sqrt(block)
//
// It is its own inverse and keeps dot products. Rows begin at invocations that are multiples of 1 << STAGES.
// Prelude: STAGES. Joined after an exchange_* file: the transform takes turns 0 to STAGES - 1.

// The sums of the stages within a quad.
fn hadamard_in_quad(x: vec4f) -> vec4f {
  let pairs = vec4f(x.x + x.y, x.x - x.y, x.z + x.w, x.z - x.w);
  return vec4f(pairs.xy + pairs.zw, pairs.xy - pairs.zw);
}

// The sums of stage s, between invocations.
fn hadamard_stage(y: vec4f, lane: u32, s: u32) -> vec4f {
  offer(y, lane, s);
  return offered_by(lane ^ (1u << s), s, y) + select(y, -y, (lane & (1u << s)) != 0u);
}

fn hadamard_norm() -> f32 {
  return sqrt(f32(4u << STAGES));
}

fn hadamard(x: vec4f, lane: u32) -> vec4f {
  var y = hadamard_in_quad(x);
  for (var s = 0; s < STAGES; s++) { // @unroll
    y = hadamard_stage(y, lane, s);
  }
  return y / hadamard_norm();
}
