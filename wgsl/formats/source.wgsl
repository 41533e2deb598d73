// Rows of a checkpoint's tensor as they lie in its file, and the row of a weight matrix that each one becomes.
// Every source_<dtype>.wgsl builds on this. The kernel declares the uniform `params`.
//
// Prelude: ALIGNED (true where every word that is read begins at a multiple of 4).

struct Params {
  source_byte: u32,  // where the first row begins in `source`
  row_bytes: u32,
  columns: u32,  // weights of a row
  groups: u32,  // groups of a row of the matrix
  n_rows: u32,  // rows in this dispatch
  first_row: u32,  // number of the first one in its tensor
  half_dim: u32,  // half of head_dim where rows are stored as interleaved rotation pairs, else 0
  row_offset: u32,  // matrix row of the tensor's row 0, less the first row of the part; wraps below zero
  part_rows: u32,  // rows of the part
  tensor: u32,  // which element of `faults` is this tensor's
}

@group(0) @binding(0) var<storage, read> source: array<u32>;  // bytes of the file

struct Place {
  outside: bool,  // past the last row, or in another part
  byte: u32,  // where the source row begins
  row: u32,  // row of the part
  item: u32,  // which of the row's items
}

// Splits an invocation's number into a row and one of its `per_row` items.
fn locate(invocation: u32, per_row: u32) -> Place {
  let index = invocation / per_row;
  var row = params.first_row + index;
  if (params.half_dim > 0u) {
    // Row 2j of a head belongs at j, row 2j + 1 at j + half_dim.
    let within = row % (2u * params.half_dim);
    row += within / 2u + (within & 1u) * params.half_dim - within;
  }
  row += params.row_offset;
  let outside = index >= params.n_rows || row >= params.part_rows;
  return Place(outside, params.source_byte + index * params.row_bytes, row, invocation - index * per_row);
}

// Four bytes from any byte offset.
fn word_at(byte: u32) -> u32 {
  let word = source[byte >> 2u];
  if (ALIGNED) {
    return word;
  }
  let shift = (byte & 3u) * 8u;
  // A shift by 32 is undefined, so the next word moves by 8 and then by the rest.
  return (word >> shift) | ((source[(byte >> 2u) + 1u] << 8u) << (24u - shift));
}
