// Unsigned 64-bit integers as (low, high) words.

fn add64(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + u32(low < a.x));
}

fn subtract64(a: vec2u, b: vec2u) -> vec2u {
  return vec2u(a.x - b.x, a.y - b.y - u32(a.x < b.x));
}

fn less64(a: vec2u, b: vec2u) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// The whole product of two 32-bit numbers.
fn multiply32(a: u32, b: u32) -> vec2u {
  let low_low = (a & 0xffffu) * (b & 0xffffu);
  let low_high = (a & 0xffffu) * (b >> 16u);
  let high_low = (a >> 16u) * (b & 0xffffu);
  let middle = (low_low >> 16u) + (low_high & 0xffffu) + (high_low & 0xffffu);
  let high = (a >> 16u) * (b >> 16u) + (low_high >> 16u) + (high_low >> 16u) + (middle >> 16u);
  return vec2u((middle << 16u) | (low_low & 0xffffu), high);
}

// value * fraction / 2^32 as (low, high, what is lost in units of 2^-32); the value is below 2^63.
fn scale64(value: vec2u, fraction: u32) -> vec3u {
  let low = multiply32(value.x, fraction);
  return vec3u(add64(multiply32(value.y, fraction), vec2u(low.y, 0u)), low.x);
}
