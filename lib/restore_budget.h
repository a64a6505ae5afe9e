// Which chunks of a save must begin anew so that its tag takes no longer to load than a multiple of
// what whole copies would.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base_tag.h"
#include "lib/save_groups.h"

namespace cairn {

/// Threads: is_due() any.
class RestoreBudget {
 public:
  /// `limit`: how many times longer a tag may take than one of keyframes. `base`: may be null.
  RestoreBudget(BaseTag* base, const SavePlan& plan, std::span<const SaveGroup> groups,
                double limit);

  /// Whether the chunk must be encoded without the base, all pieces of it.
  bool is_due(const SaveGroup& group, uint64_t chunk) const;

 private:
  struct Chain {
    uint32_t group = 0;
    uint32_t chunk = 0;
    double saved_seconds = 0;  ///< when it begins anew
    double length = 0;         ///< how many times as long as anew
  };
  void make_due(uint32_t group, uint32_t chunk);
  void choose(std::vector<Chain> chains, double allowed, double total);

  const SaveGroup* first_group_ = nullptr;
  std::vector<std::vector<bool>> due_;  // by group and chunk; empty: none of the group
};

}  // namespace cairn
