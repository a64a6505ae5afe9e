// The tensors as the base tag has them, where the caller keeps them in the memory of devices.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/device/content.h"
#include "lib/save_plan.h"

namespace cairn {

/// Threads: any.
class ResidentBases {
 public:
  /// What is not of the same dtype and shape as in the plan, or lies in the host's memory, is
  /// passed over. REQUIRES: both outlive this.
  ResidentBases(std::span<const TensorSource> bases, const SavePlan& plan);

  bool is_empty() const { return boxes_.empty(); }
  /// Where the device that has the unit has what was there before: as rows, and all of it.
  /// Whether these are the base's bytes, a digest must tell.
  std::optional<Content> before(const Unit& unit, unsigned device) const;

 private:
  const SavePlan& plan_;
  std::map<size_t, std::vector<SourceBox>> boxes_;  // by item
};

}  // namespace cairn
