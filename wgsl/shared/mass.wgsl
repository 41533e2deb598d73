// Fixed-point probabilities. A mass is a probability over the largest one, in units of 2^-31, so that sums of masses
// are integers and do not depend on the order in which they are taken.

// Which of 256 bins four masses fall into: the exponent and the next three bits, so that bins ascend with masses. No
// mass at all falls into no bin.
fn mass_bins(masses: vec4u) -> vec4u {
  let exponents = firstLeadingBit(masses);
  let bins = (exponents << vec4u(3u)) | (((masses << (31u - exponents)) >> vec4u(28u)) & vec4u(7u));
  return select(bins, vec4u(256u), masses == vec4u());
}

// Places in the buffer `bins`, which holds 256 words of each of the first three, indexed by bin, and two of the last.
const BIN_COUNT = 0u;  // tokens in the bin, counted only for top-k
const BIN_LOW = 256u;  // their mass, low word
const BIN_HIGH = 512u;  // their mass, high word
const MIN_P_MASS = 768u;  // mass of all tokens that min-p keeps: low word, high word
