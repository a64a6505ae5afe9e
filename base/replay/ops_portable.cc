// The operations of replay programs for any processor.
#include "base/replay/ops_loops.h"

namespace cairn {

const ReplayOps kReplayOpsPortable = {"portable", kLoops, canonical_loop};

}  // namespace cairn
