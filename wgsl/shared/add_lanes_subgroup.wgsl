// Sum over SUBGROUP_LANES neighbouring lanes (a power of two, at most the smallest subgroup), by a butterfly.
// Prelude: SUBGROUP_LANES.

fn add_lanes(value: f32) -> f32 {
  var sum = value;
  if (SUBGROUP_LANES > 1u) {
    sum += subgroupShuffleXor(sum, 1u);
  }
  if (SUBGROUP_LANES > 2u) {
    sum += subgroupShuffleXor(sum, 2u);
  }
  if (SUBGROUP_LANES > 4u) {
    sum += subgroupShuffleXor(sum, 4u);
  }
  if (SUBGROUP_LANES > 8u) {
    sum += subgroupShuffleXor(sum, 8u);
  }
  if (SUBGROUP_LANES > 16u) {
    sum += subgroupShuffleXor(sum, 16u);
  }
  return sum;
}
