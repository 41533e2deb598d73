// Probabilities of all tokens at a temperature, as integers, and how they spread over 256 bins.
//
//   masses[i] = round(2^31 exp((logits[i] - max(logits)) / temperature))
//   bins[b] += (1, masses[i]) for b = the bin of masses[i], where masses[i] > 0
//
// Logits are halved before they are subtracted, because the difference of two may be over the f32 range.
//
// Grid: one workgroup of 256 invocations for 4096 tokens.
// Joined after shared/order.wgsl and shared/mass.wgsl.
// Prelude: COUNTED (whether top-k needs the tokens counted), MIN_P (whether min-p is on).

struct Params {
  vocab_size: u32,
  n_partials: u32,
  scale: f32,  // 2 log2(e) / temperature
  min_mass: u32,  // what min-p demands of a mass, if anything
}

@group(0) @binding(0) var<storage, read> logits: array<u32>;  // (vocab_size), bits of f32
@group(0) @binding(1) var<storage, read> partials: array<vec2u>;  // (n_partials) of (key, id), by argmax.wgsl
@group(0) @binding(2) var<storage, read_write> masses: array<u32>;  // (vocab_size)
@group(0) @binding(3) var<storage, read_write> bins: array<atomic<u32>>;  // (770), see mass.wgsl; zero at first
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> largest_key: atomic<u32>;
var<workgroup> counts: array<atomic<u32>, 256>;
var<workgroup> lows: array<atomic<u32>, 256>;
var<workgroup> highs: array<atomic<u32>, 256>;
var<workgroup> min_p_low: atomic<u32>;
var<workgroup> min_p_high: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < params.n_partials; i += 256u) {
    atomicMax(&largest_key, partials[i].x);
  }
  workgroupBarrier();
  let half_largest = 0.5 * bitcast<f32>(key_bits(atomicLoad(&largest_key)));
  let first = group.x * 4096u;
  let end = min(first + 4096u, params.vocab_size);
  for (var i = first + lane; i < end; i += 256u) {
    // Beyond 4096 nothing is left at any temperature, and the exponent stays finite.
    let gap = min(half_largest - 0.5 * bitcast<f32>(logits[i]), 4096.0);
    var mass = 0x80000000u;
    if (gap > 0.0) {
      mass = u32(min(exp2(-gap * params.scale) * 2147483648.0 + 0.5, 2147483648.0));
    }
    masses[i] = mass;
    if (mass > 0u) {
      let bin = mass_bins(vec4u(mass)).x;
      if (COUNTED) {
        atomicAdd(&counts[bin], 1u);
      }
      let before = atomicAdd(&lows[bin], mass);
      if (before + mass < before) {
        atomicAdd(&highs[bin], 1u);
      }
    }
    if (MIN_P && mass >= params.min_mass) {
      let before = atomicAdd(&min_p_low, mass);
      if (before + mass < before) {
        atomicAdd(&min_p_high, 1u);
      }
    }
  }
  workgroupBarrier();
  let low = atomicLoad(&lows[lane]);
  let high = atomicLoad(&highs[lane]);
  if ((low | high) > 0u) {
    let before = atomicAdd(&bins[BIN_LOW + lane], low);
    atomicAdd(&bins[BIN_HIGH + lane], high + u32(before + low < before));
    atomicAdd(&bins[BIN_COUNT + lane], atomicLoad(&counts[lane]));
  }
  if (MIN_P && lane == 0u) {
    let kept = atomicLoad(&min_p_low);
    let before = atomicAdd(&bins[MIN_P_MASS], kept);
    atomicAdd(&bins[MIN_P_MASS + 1u], atomicLoad(&min_p_high) + u32(before + kept < before));
  }
}
