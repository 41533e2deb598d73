// Cosines and sines for rotary position embedding, with YaRN's blend of frequencies (Peng et al., 2023), of which the
// other scalings are cases.
//
//   inv_freq_j = interpolated_j * (1 - mask_j) + extrapolated_j * mask_j
//   table[p][j] = (cos(p * inv_freq_j), sin(p * inv_freq_j)) * attention_factor
//
// Each operation of the first line and the product with p are rounded to f32, as in the reference: at position 131071
// an angle that is off by one unit in the last place is off by 0.008 radians.
//
// WGSL promises nothing about sin and cos beyond pi, and compilers may fuse or reorder float operations. So angles are
// reduced in integers (Payne and Hanek, 1983), and roundings are forced by passing bits through an integer operation
// that no compiler can see through.
//
// Grid: x = blocks of 64 positions, y = pairs.
// Prelude: N_PAIRS (pairs of a head, rotary_dim / 2).

struct Params {
  first_position: u32,
  first_row: u32,
  n_positions: u32,
  attention_factor: f32,
  zero: u32,  // always 0; the compiler does not know
}

@group(0) @binding(0) var<storage, read> frequencies: array<vec4f>;  // (N_PAIRS): extrapolated, interpolated, mask, 0
@group(0) @binding(1) var<storage, read_write> table: array<vec2f>;  // (n_rows, N_PAIRS): cos, sin
@group(0) @binding(2) var<uniform> params: Params;

// 2^32 / (2 pi) and the 32 bits below its point.
const TURN_HIGH = 0x28be60dbu;
const TURN_LOW = 0x9391054au;
const RADIANS_PER_UNIT = 1.4629180792671596e-9;  // 2 pi / 2^32
const EIGHTH_TURN = 0.78539816;

fn rounded(value: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(value) ^ params.zero);
}

// The 64-bit product, low word first.
fn multiply_wide(a: u32, b: u32) -> vec2u {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let low = a0 * b0;
  let middle = a1 * b0 + (low >> 16u);
  let cross = a0 * b1 + (middle & 0xffffu);
  return vec2u((cross << 16u) | (low & 0xffffu), a1 * b1 + (middle >> 16u) + (cross >> 16u));
}

// angle / (2 pi) modulo 1, in units of 2^-32 turns; 0 <= angle < 2^24.
fn turn_fraction(angle: f32) -> u32 {
  let bits = bitcast<u32>(angle);
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  let shift = 150u - (bits >> 23u);  // angle = mantissa / 2^shift
  let high = multiply_wide(mantissa, TURN_HIGH);
  let carried = multiply_wide(mantissa, TURN_LOW).y;
  let fraction = high.x + carried;
  let whole = high.y + select(0u, 1u, fraction < carried);
  if (shift == 0u) {
    return fraction;
  }
  if (shift < 32u) {
    return (whole << (32u - shift)) | (fraction >> shift);
  }
  return whole >> min(shift - 32u, 31u);
}

// Minimax polynomials of sine and cosine on [-pi/4, pi/4], with the coefficients of Moshier's Cephes.
fn sine(x: f32) -> f32 {
  let square = x * x;
  return x + x * square * (-1.6666654611e-1 + square * (8.3321608736e-3 - square * 1.9515295891e-4));
}

fn cosine(x: f32) -> f32 {
  let square = x * x;
  let tail = 4.166664568298827e-2 + square * (-1.388731625493765e-3 + square * 2.443315711809948e-5);
  return 1.0 - 0.5 * square + square * square * tail;
}

fn cos_sin(angle: f32) -> vec2f {
  if (angle < EIGHTH_TURN) {
    return vec2f(cosine(angle), sine(angle));
  }
  let fraction = turn_fraction(angle);
  let quarter = (fraction + 0x20000000u) >> 30u;
  let x = f32(bitcast<i32>(fraction - (quarter << 30u))) * RADIANS_PER_UNIT;
  let c = cosine(x);
  let s = sine(x);
  let turned = select(vec2f(c, s), vec2f(-s, c), (quarter & 1u) == 1u);
  return select(turned, -turned, (quarter & 2u) == 2u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.n_positions) {
    return;
  }
  let frequency = frequencies[id.y];
  let share = frequency.z;
  let interpolated = rounded(frequency.y * rounded(1.0 - share));
  let inv_freq = rounded(interpolated + rounded(frequency.x * share));
  let angle = rounded(f32(params.first_position + id.x) * inv_freq);
  table[(params.first_row + id.x) * N_PAIRS + id.y] = cos_sin(angle) * params.attention_factor;
}
