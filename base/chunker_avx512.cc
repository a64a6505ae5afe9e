// The chunker's kernel of 16 words, compiled for AVX-512; called only where the processor has it.
#include "base/chunker_lanes.h"

namespace cairn {

const ChunkerKernel kChunkerAvx512 = {"avx512", find_in_lanes<16>};

}  // namespace cairn
