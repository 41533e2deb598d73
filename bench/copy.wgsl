// Copies a buffer: the ceiling that memory sets.
//
//   target[i] = source[i]
//
// Grid: ceil(n4 / 64) workgroups of 64 invocations, laid out in rows of at most 32768.
// Prelude: none.

struct Params {
  n4: u32,  // vec4s
}

@group(0) @binding(0) var<storage, read> source: array<vec4f>;  // (n4)
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;  // (n4)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (workgroup.y * 32768u + workgroup.x) * 64u + lane;
  if (i < params.n4) {
    out[i] = source[i];
  }
}
