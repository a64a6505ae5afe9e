// The operations of replay programs for AVX2 and FMA.
#include "base/replay/ops_loops.h"

namespace cairn {

const ReplayOps kReplayOpsAvx2 = {"avx2", kLoops, canonical_loop};

}  // namespace cairn
