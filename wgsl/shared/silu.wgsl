// silu(a) = a / (1 + exp(-a)).

fn silu(a: f32) -> f32 {
  // Beyond 87 exp overflows to infinity, whose quotient some adapters do not promise to be zero.
  return a / (1.0 + exp(min(-a, 87.0)));
}
