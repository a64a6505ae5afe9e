// How long a tag takes to load, estimated, and which chunks of a save must begin anew so that it
// stays within a multiple of what whole copies would take.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base_tag.h"
#include "lib/save_groups.h"
#include "store/locator.h"

namespace cairn {

/// Estimated seconds of one core to read a copy and decode it, its bases not counted.
double restore_seconds(const Copy& copy);
/// The same for `bytes` stored by themselves.
double keyframe_seconds(uint64_t bytes);
/// What it takes beside that to hand `bytes` out, however they are stored.
double deliver_seconds(uint64_t bytes);

/// How many times longer the tag takes to load than one of keyframes, estimated. Errors: those of
/// reading its locators.
Result<double> restore_cost(Checkpoint& checkpoint);

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
