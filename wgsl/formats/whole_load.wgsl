// Loads of formats whose weights lie together: a load is one vec4u.
// Prelude: LOADS (see the format).

alias Load = vec4u;

// Load number `at` of a row.
fn load_weights(row: u32, at: u32, groups: u32) -> Load {
  return weight[row * groups * LOADS + at];
}
