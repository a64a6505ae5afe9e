// The chunker's kernel of 8 words, compiled for AVX2; called only where the processor has it.
#include "base/chunker_lanes.h"

namespace cairn {

const ChunkerKernel kChunkerAvx2 = {"avx2", find_in_lanes<8>};

}  // namespace cairn
