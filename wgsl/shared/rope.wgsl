// Rotary position embedding (Su et al., 2021) of a row, two neighbouring elements at a time, which are a unit:
//
//   (x_j, x_{j + R/2}) -> (x_j cos - x_{j + R/2} sin, x_{j + R/2} cos + x_j sin)   for j < R/2, R = rotary_dim
//
// Elements from R on stay as they are.
// Prelude: ROTARY_DIM4 (rotary_dim / 4).
// Joined with a kernel that binds `table`: array<vec4f>, (n_positions, rotary_dim / 2, 2).

// The unit that a unit is rotated with.
fn partner_of(unit: u32) -> u32 {
  return select(select(unit, unit - ROTARY_DIM4, unit < 2u * ROTARY_DIM4), unit + ROTARY_DIM4, unit < ROTARY_DIM4);
}

// Factors of both elements of a unit: (own, partner's, own, partner's).
fn turn_of(unit: u32, position: u32) -> vec4f {
  if (unit >= 2u * ROTARY_DIM4) {
    return vec4f(1.0, 0.0, 1.0, 0.0);
  }
  let turn = table[position * ROTARY_DIM4 + select(unit - ROTARY_DIM4, unit, unit < ROTARY_DIM4)];
  return select(turn, turn * vec4f(1.0, -1.0, 1.0, -1.0), unit < ROTARY_DIM4);
}

fn turned(own: vec2f, partner: vec2f, turn: vec4f) -> vec2f {
  return own * turn.xz + partner * turn.yw;
}
