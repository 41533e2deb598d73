// Draws one token among those that top-k, top-p and min-p keep, with a probability proportional to its mass.
//
// Tokens are ordered by falling mass bin, then falling logit, then rising id. Each filter keeps a head of that order,
// and the draw takes the token under a random point of what is kept, so that all three are the same question:
// which token is the first whose running sum, of ones or of masses, is over a given number?
//
//   top-k: the sum of ones over k - 1             kept = the running mass there
//   top-p: the sum of masses over ceil(p kept) - 1    kept = the running mass there
//   min-p: kept = min(kept, sum of the masses that are large enough)
//   draw:  the sum of masses over floor(u kept), u = Philox(seed, count) / 2^32
//
// The answer is found by radix selection over the whole vocabulary: the bin from its totals, then, among the tokens of
// the bin, digit by digit, four digits of the logit and three of the id. All sums are integers: the result does not
// depend on the order of anything.
//
// Grid: one workgroup of 256 invocations.
// Joined after shared/order.wgsl, shared/u64.wgsl, shared/philox.wgsl and shared/mass.wgsl.

struct Params {
  vocab_size: u32,
  n_partials: u32,
  top_k: u32,  // 0 where it is off
  top_p: u32,  // in units of 2^-32; 0 where it is off
  min_mass: u32,  // 0 where min-p is off
  seed_low: u32,
  seed_high: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<u32>;  // (vocab_size), bits of f32
@group(0) @binding(1) var<storage, read> partials: array<vec2u>;  // (n_partials) of (key, id), by argmax.wgsl
@group(0) @binding(2) var<storage, read> masses: array<vec4u>;  // (vocab_size), zeros up to a multiple of 4
@group(0) @binding(3) var<storage, read> state: array<u32>;  // (8): position, done, count
@group(0) @binding(4) var<storage, read_write> bins: array<atomic<u32>>;  // (770), see mass.wgsl; left zero
@group(0) @binding(5) var<storage, read_write> listed: array<u32>;  // (vocab_size), scratch: ids of one bin's tokens
@group(0) @binding(6) var<storage, read_write> drawn: array<vec2u>;  // (1) of (key, id), as partials are
@group(0) @binding(7) var<uniform> params: Params;

// A set of tokens: how many, and their mass.
struct Total {
  count: u32,
  mass: vec2u,
}

// The digit under which a running sum passes `rest`.
struct Choice {
  digit: u32,
  inside: Total,  // tokens with that digit
  ahead: Total,  // tokens with larger digits
  rest: vec2u,  // how far into `inside` the sum still has to run
}

var<workgroup> counts: array<atomic<u32>, 256>;  // totals by digit
var<workgroup> lows: array<atomic<u32>, 256>;
var<workgroup> highs: array<atomic<u32>, 256>;
var<workgroup> blocks: array<Total, 16>;  // of 16 digits each, the largest digits first
var<workgroup> choice: Choice;
var<workgroup> n_listed: atomic<u32>;
var<workgroup> largest_key: atomic<u32>;
var<workgroup> winner: atomic<u32>;  // complement of the drawn id

fn plus(a: Total, b: Total) -> Total {
  return Total(a.count + b.count, add64(a.mass, b.mass));
}

fn digit_total(digit: u32) -> Total {
  return Total(atomicLoad(&counts[digit]), vec2u(atomicLoad(&lows[digit]), atomicLoad(&highs[digit])));
}

fn set_digit(digit: u32, total: Total) {
  atomicStore(&counts[digit], total.count);
  atomicStore(&lows[digit], total.mass.x);
  atomicStore(&highs[digit], total.mass.y);
}

fn sum_blocks(lane: u32) {
  workgroupBarrier();
  if (lane < 16u) {
    var sum = Total();
    for (var j = 0u; j < 16u; j++) {
      sum = plus(sum, digit_total(255u - 16u * lane - j));
    }
    blocks[lane] = sum;
  }
  workgroupBarrier();
}

// Whether the running sum passes `rest` inside a set of tokens that follows `ahead`.
fn passes(ahead: Total, inside: Total, by_count: bool, rest: vec2u) -> bool {
  let begin = select(ahead.mass, vec2u(ahead.count, 0u), by_count);
  let size = select(inside.mass, vec2u(inside.count, 0u), by_count);
  return !less64(rest, begin) && less64(subtract64(rest, begin), size);
}

// Makes the choice from the totals by digit, which must be complete: first of the block, then of the digit.
fn choose(lane: u32, by_count: bool, rest: vec2u) {
  sum_blocks(lane);
  if (lane < 16u) {
    var ahead = Total();
    for (var block = 0u; block < lane; block++) {
      ahead = plus(ahead, blocks[block]);
    }
    if (passes(ahead, blocks[lane], by_count, rest)) {
      for (var j = 0u; j < 16u; j++) {
        let digit = 255u - 16u * lane - j;
        let inside = digit_total(digit);
        if (passes(ahead, inside, by_count, rest)) {
          let begin = select(ahead.mass, vec2u(ahead.count, 0u), by_count);
          choice = Choice(digit, inside, ahead, subtract64(rest, begin));
          break;
        }
        ahead = plus(ahead, inside);
      }
    }
  }
  workgroupBarrier();
}

// Lists the ids of the bin's tokens, in any order.
fn list(lane: u32, bin: u32) {
  let n_vectors = (params.vocab_size + 3u) / 4u;
  for (var i = lane; i < n_vectors; i += 1024u) {
    // Loads come in fours without a branch, so that they overlap; past the end they count for nothing.
    var hits = 0u;
    for (var j = 0; j < 4; j++) { // @unroll
      let vector = i + j * 256u;
      let bits = select(vec4u(), vec4u(1u, 2u, 4u, 8u), mass_bins(masses[min(vector, n_vectors - 1u)]) == vec4u(bin));
      hits |= select(0u, dot(bits, vec4u(1u)) << (4u * j), vector < n_vectors);
    }
    for (; hits != 0u; hits &= hits - 1u) {
      let hit = firstTrailingBit(hits);
      listed[atomicAdd(&n_listed, 1u)] = (i + (hit / 4u) * 256u) * 4u + hit % 4u;
    }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < params.n_partials; i += 256u) {
    atomicMax(&largest_key, partials[i].x);
  }
  let bin = Total(
    atomicLoad(&bins[BIN_COUNT + lane]),
    vec2u(atomicLoad(&bins[BIN_LOW + lane]), atomicLoad(&bins[BIN_HIGH + lane])),
  );
  let min_p_mass = vec2u(atomicLoad(&bins[MIN_P_MASS]), atomicLoad(&bins[MIN_P_MASS + 1u]));
  set_digit(lane, bin);
  sum_blocks(lane);
  var everything = Total();
  for (var block = 0u; block < 16u; block++) {
    everything = plus(everything, blocks[block]);
  }
  var kept = everything.mass;
  var listed_bin = 256u;

  // 0 is top-k, 1 is top-p, 2 is the draw. What is off is stepped over, because a software adapter would run through
  // a skipped body with all lanes off.
  let after_top_k = select(1u, 2u, params.top_p == 0u);
  var question = select(0u, after_top_k, params.top_k == 0u);
  for (; question < 3u; question = select(question + 1u, after_top_k, question == 0u)) {
    var rest = vec2u();
    if (question == 0u) {
      rest.x = min(params.top_k, everything.count) - 1u;
    } else if (question == 1u) {
      let share = scale64(kept, params.top_p);
      rest = subtract64(share.xy, vec2u(u32(share.z == 0u), 0u));
    } else {
      if (params.min_mass > 0u && less64(min_p_mass, kept)) {
        kept = min_p_mass;
      }
      let random = philox(vec4u(state[2], 0u, 0u, 0u), vec2u(params.seed_low, params.seed_high)).x;
      rest = scale64(kept, random).xy;
    }

    // Level 0 is the bin, 1 to 4 are the digits of the key, 5 to 7 those of the complement of the id.
    var n = 0u;
    var ahead = vec2u();
    var known = vec2u();  // digits of (key, complement of the id) that are chosen
    var mask = vec2u();  // where they stand
    for (var level = 0u; level < 8u; level++) {
      var total = Total();
      if (level == 0u) {
        total = bin;
      }
      set_digit(lane, total);
      workgroupBarrier();
      let of_key = level < 5u;
      let shift = (select(56u, 32u, of_key) - 8u * level) & 31u;
      for (var i = lane; i < n; i += 256u) {
        let id = listed[i];
        let words = vec2u(order_key(logits[id]), 0xffffffu - id);
        if (all(((words ^ known) & mask) == vec2u())) {
          let mass = masses[id / 4u][id % 4u];
          let digit = (select(words.y, words.x, of_key) >> shift) & 255u;
          atomicAdd(&counts[digit], 1u);
          let before = atomicAdd(&lows[digit], mass);
          if (before + mass < before) {
            atomicAdd(&highs[digit], 1u);
          }
        }
      }
      choose(lane, question == 0u, rest);
      ahead = add64(ahead, choice.ahead.mass);
      let column = vec2u(u32(of_key && level > 0u), u32(!of_key)) << vec2u(shift);
      known |= column * choice.digit;
      mask |= column * 255u;

      // The bin is often the same as for the question before.
      let is_new = level == 0u && choice.digit != listed_bin;
      if (is_new) {
        listed_bin = choice.digit;
        if (lane == 0u) {
          atomicStore(&n_listed, 0u);
        }
      }
      workgroupBarrier();
      if (is_new) {
        list(lane, listed_bin);
      }
      workgroupBarrier();
      n = atomicLoad(&n_listed);
      if (level == 0u && lane == 0u) {
        choice.inside.count = n;
      }
      let found = workgroupUniformLoad(&choice);
      rest = found.rest;
      if (found.inside.count <= 1u) {
        break;
      }
    }
    kept = add64(ahead, choice.inside.mass);
    if (question == 2u) {
      for (var i = lane; i < n; i += 256u) {
        let id = listed[i];
        let words = vec2u(order_key(logits[id]), 0xffffffu - id);
        if (all(((words ^ known) & mask) == vec2u())) {
          atomicMax(&winner, ~id);
        }
      }
    }
    workgroupBarrier();
  }

  // The next token starts from empty bins.
  for (var i = lane; i < MIN_P_MASS + 2u; i += 256u) {
    atomicStore(&bins[i], 0u);
  }
  if (lane == 0u) {
    let key = atomicLoad(&largest_key);
    // Without a winner something is wrong with the logits, and the host must hear of it.
    let is_valid = key != NOT_FINITE && atomicLoad(&winner) != 0u;
    drawn[0] = vec2u(select(NOT_FINITE, key, is_valid), ~atomicLoad(&winner));
  }
}
