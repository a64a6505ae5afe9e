// Of what several ranks hold of a save, each stores its share: before a part is stored, the ranks
// tell each other digests of it, and agree who writes what (docs/GPU.md, "Ranks"). No byte of the
// state travels.
#pragma once

#include <string>
#include <vector>

#include "gpu/transport.h"
#include "lib/save_plan.h"

namespace cairn {

/// What this rank leaves to others, and what it has found.
struct SharedReplicas {
  std::vector<LeftUnit> left;         ///< in order; for SavePlan::left
  std::vector<std::string> warnings;  ///< of replicas that differ, each told by one of their ranks
};

/// `plan`: of this rank's part, or why it has none. `staged`: as for save().
/// Errors: this rank's; that of another, naming it; kUsage where ranks save something else; the
/// transport's. Time: all bytes that others have too are digested once.
Result<SharedReplicas> share_replicas(gpu::Transport& transport, const SaveRequest& request,
                                      const Result<const SavePlan*>& plan, StagedSave* staged);

}  // namespace cairn
