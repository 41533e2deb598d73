// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
// Joined after shared/u64.wgsl.

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  var x = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let a = multiply32(0xd2511f53u, x.x);
    let b = multiply32(0xcd9e8d57u, x.z);
    x = vec4u(b.y ^ x.y ^ k.x, b.x, a.y ^ x.w ^ k.y, a.x);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return x;
}
