// Dot products of four bytes in registers: the ceiling of integer arithmetic.
//
//   sum = sum + dot(a, b), for 8 vec4 sums of packed bytes, ROUNDS * 16 times
//
// Grid: n_workgroups of 64 invocations.
// Prelude: ROUNDS.

struct Params {
  n_workgroups: u32,
  a: u32,
  b: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<i32>;  // (n_workgroups * 64)
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = params.a + id.x;
  var sum: array<vec4i, 8>;
  for (var i = 0; i < 8; i++) { // @unroll
    sum[i] = vec4i(i32(params.b + i));
  }
  for (var round = 0u; round < ROUNDS; round++) {
    for (var again = 0; again < 16; again++) { // @unroll
      for (var i = 0; i < 8; i++) { // @unroll
        // The other factor is the sum itself, so that no product can be moved out of the loop.
        sum[i].x += dot4I8Packed(a, bitcast<u32>(sum[i].x));
        sum[i].y += dot4I8Packed(a, bitcast<u32>(sum[i].y));
        sum[i].z += dot4I8Packed(a, bitcast<u32>(sum[i].z));
        sum[i].w += dot4I8Packed(a, bitcast<u32>(sum[i].w));
      }
    }
  }
  var total = vec4i();
  for (var i = 0; i < 8; i++) { // @unroll
    total += sum[i];
  }
  out[id.x] = (total.x + total.y) + (total.z + total.w);
}
