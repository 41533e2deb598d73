// Multiplies and adds in registers: the ceiling that arithmetic sets.
//
//   sum = sum * a + b, for 8 vec4 sums, ROUNDS * 16 times
//
// Grid: n_workgroups of 64 invocations.
// Prelude: ROUNDS.

struct Params {
  n_workgroups: u32,
  a: f32,
  b: f32,
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;  // (n_workgroups * 64)
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = vec4f(params.a);
  let b = vec4f(params.b, params.b + 1.0, params.b + 2.0, params.b + 3.0);
  var sum: array<vec4f, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    sum[i] = vec4f(f32(id.x + i));
  }
  for (var round = 0u; round < ROUNDS; round++) {
    for (var again = 0; again < 16; again++) { // @unroll
      for (var i = 0; i < 8; i++) { // @unroll
        sum[i] = fma(sum[i], a, b);
      }
    }
  }
  var total = vec4f();
  for (var i = 0; i < 8; i++) { // @unroll
    total += sum[i];
  }
  out[id.x] = (total.x + total.y) + (total.z + total.w);
}
