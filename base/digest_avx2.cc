// The BLAKE3 kernel of 8 lanes, compiled for AVX2; called only where the processor has it.
#include "base/digest_lanes.h"

namespace cairn {

const DigestKernel kDigestAvx2 = {"avx2", 8, hash_lanes<8>};

}  // namespace cairn
