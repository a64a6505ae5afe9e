// The operations of replay programs for AVX-512.
#include "base/replay/ops_loops.h"

namespace cairn {

const ReplayOps kReplayOpsAvx512 = {"avx512", kLoops, canonical_loop};

}  // namespace cairn
