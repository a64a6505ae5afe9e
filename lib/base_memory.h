// The base tag as the caller still has it in memory: what would else be decoded from the store.
#pragma once

#include <map>
#include <span>

#include "lib/save_plan.h"

namespace cairn {

/// Threads: any.
class BaseMemory {
 public:
  /// What is not of the same dtype and shape as in the plan is passed over; so are boxes outside
  /// their tensors. REQUIRES: both outlive this.
  BaseMemory(std::span<const TensorSource> tensors, const SavePlan& plan);

  bool is_empty() const { return boxes_.empty(); }

  /// Copies the item's box to `room` in row-major order; false when the memory has not all of it,
  /// or other bytes than those of the digest: then it is no use.
  bool recall(size_t item, const Box& box, const Digest& digest, MutableBytes room) const;

 private:
  const SavePlan& plan_;
  std::map<size_t, std::vector<SourceBox>> boxes_;  // by item
};

}  // namespace cairn
