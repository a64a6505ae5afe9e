// Which tensors of a save are encoded together: those that say the same thing in other words. The
// weight of a parameter is its master rounded, and its master follows from the moments.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/save_plan.h"
#include "lib/staging.h"

namespace cairn {

/// Items on one grid. Chunk i of each is encoded when chunk i of all before it is known.
struct SaveGroup {
  std::vector<size_t> items;
  uint64_t chunks = 0;
};

/// Every item that has chunks, and whose bytes are here, is in exactly one group; those of several
/// items come first. In a group the order is: exp_avg, exp_avg_sq, max_exp_avg_sq, master, weight.
/// Tensors without a role are paired by their bits: a BF16 or F16 tensor with an F32 one of the
/// same shape that it is a rounding of, as far as a sample shows.
/// `staged`: brings that sample from devices; null: what is there is not paired.
std::vector<SaveGroup> group_items(const SavePlan& plan, StagedSave* staged = nullptr);

}  // namespace cairn
