// How a quad of a row is stored in a format of groups: codes of 32 elements with one f16 m.
//
// Steps are taken from what is stored of m, so that rounding m costs nothing.
// Prelude: STAGES, HEAD_DIM4 (head_dim / 4, a multiple of 4), N_KV_HEADS.
// Joined after shared/half, an exchange_* file of shared/, and kv_write_q8 or kv_write_q4, with a kernel that binds `k`
// and `v`: array<u32>.

// A quad as it is stored.
struct StoredQuad {
  word: u32,  // codes of the quad, and of those that share a word with it
  bound: f32,  // m of its group
}

fn further(a: f32, b: f32) -> f32 {
  return select(a, b, abs(b) > abs(a));
}

// The step that a stored m stands for.
fn stored_step(bound: f32) -> f32 {
  return step_of(half_of(bound));
}

// Elements in steps: zero where the step is.
fn in_steps(x: vec4f, step: f32) -> vec4f {
  return nearest(x * select(1.0 / step, 0.0, step == 0.0));
}

// Stores quad d of a row. Invocations `first` to `last`, 8 or, in a last group that is half a one, 4, hold its group.
// Takes turns STAGES to STAGES + 2.
fn stored_quad(x: vec4f, d: u32, lane: u32, first: u32, last: u32) -> StoredQuad {
  let own_extreme = vec4f(further(further(x.x, x.y), further(x.z, x.w)));
  offer(own_extreme, lane, STAGES);
  var extreme = 0.0;
  for (var i = 0; i < 8; i++) { // @unroll
    extreme = further(extreme, offered_by(min(first + i, last), STAGES, own_extreme).x);
  }
  let tried = clamp(bounds_of(extreme), vec4f(-65504.0), vec4f(65504.0));
  var bound = tried.x;
  if (SEARCHES) {
    var own_errors: vec4f;
    for (var i = 0; i < 4; i++) { // @unroll
      let off = x - in_steps(x, stored_step(tried[i])) * stored_step(tried[i]);
      own_errors[i] = dot(off, off);
    }
    offer(own_errors, lane, STAGES + 1u);
    var errors = vec4f(0.0);
    for (var i = 0; i < 8; i++) { // @unroll
      let others = offered_by(min(first + i, last), STAGES + 1u, own_errors);
      errors += select(vec4f(0.0), others, first + i <= last);
    }
    var least = errors.x;
    for (var i = 1; i < 4; i++) { // @unroll
      if (errors[i] < least) {
        least = errors[i];
        bound = tried[i];
      }
    }
  }
  let steps = in_steps(x, stored_step(bound));
  var word = codes_of(steps, d);
  if (QUADS_OF_WORD == 2u) {
    offer(steps, lane, STAGES + 2u);
    word |= codes_of(offered_by(lane ^ 1u, STAGES + 2u, steps), d ^ 1u);
  }
  return StoredQuad(word, bound);
}

// Stores the m of groups 2 pair and 2 pair + 1 of a row.
fn store_bounds(bounds: vec2f, row: u32, pair: u32, is_key: bool) {
  let first_scale = N_KV_HEADS * params.capacity * (HEAD_DIM4 / QUADS_OF_WORD);
  let at = first_scale + row * ((HEAD_DIM4 + 15u) / 16u) + pair;
  if (is_key) {
    k[at] = pack2x16float(bounds);
  } else {
    v[at] = pack2x16float(bounds);
  }
}
