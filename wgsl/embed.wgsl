// Gathers the rows of an embedding table that tokens name.
//
//   out[out_row + t][k] = W[tokens[tokens_begin + t]][k]
//
// Grid: (n_tokens, ceil(groups / 8)) workgroups of 64 invocations; an invocation writes 4 columns.
// Prelude: LOADS and QUADS (see the format).
// Joined after a file of formats/. A table in several parts takes a dispatch for each: a token's row is in one of them.

struct Params {
  row_begin: u32,  // first row of this part
  rows: u32,  // rows of this part
  groups: u32,  // groups in a row
  columns4: u32,  // columns / 4
  tokens_begin: u32,  // first token read
  n_tokens: u32,
  out_row: u32,  // row of out where the first goes
}

@group(0) @binding(2) var<storage, read> tokens: array<u32>;  // (tokens_begin + n_tokens)
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;  // (out_row + n_tokens, columns)
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let k4 = workgroup.y * 64u + lane;
  // Wraps for a token of an earlier part, and is then over the number of rows too.
  let row = tokens[params.tokens_begin + workgroup.x] - params.row_begin;
  if (k4 < params.columns4 && row < params.rows) {
    let group = k4 / 8u;
    let inside = k4 % 8u;
    let load = load_weights(row, group * LOADS + inside / QUADS, params.groups);
    let pair = scale_pair(row, group / 2u, params.groups);
    let scale = select(pair.xy, pair.zw, (group & 1u) != 0u);
    var value = quad(load, inside % QUADS);
    if (HAS_MIN) {
      value = fma(vec4f(scale.x), value, vec4f(scale.y));
    } else if (SCALED) {
      value *= scale.x;
    }
    out[(params.out_row + workgroup.x) * params.columns4 + k4] = value;
  }
}
