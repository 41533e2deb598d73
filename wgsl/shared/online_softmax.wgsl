// Softmax over a row that is seen piece by piece (Milakov and Gimelshein, 2018), in powers of two.

// Stands for minus infinity, which WGSL cannot write. A score of this value is a masked one.
const LOWEST = -3.4e38;

// What a sum must be multiplied by when the row's maximum rises. Exactly 1 where it stays: an adapter's exp2(0) need
// not be, and a tile that changes nothing must change no bit.
fn rescale_of(old_max: f32, new_max: f32) -> f32 {
  return select(exp2(old_max - new_max), 1.0, old_max == new_max);
}

// Weight of a score against the row's maximum; exactly 0 for a masked score.
fn weight_of(score: f32, row_max: f32) -> f32 {
  return select(exp2(score - row_max), 0.0, score == LOWEST);
}

// The same for 4 scores of a row.
fn weights_of(scores: vec4f, row_max: f32) -> vec4f {
  return select(exp2(scores - vec4f(row_max)), vec4f(0.0), scores == vec4f(LOWEST));
}

fn max4(values: vec4f) -> f32 {
  return max(max(values.x, values.y), max(values.z, values.w));
}
