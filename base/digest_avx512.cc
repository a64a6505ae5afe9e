// The BLAKE3 kernel of 16 lanes, compiled for AVX-512 (F, VL, BW); called only where the processor
// has it. Rotates are one instruction there. A call that is at most half full takes 8 lanes.
#include "base/digest_lanes.h"

namespace cairn {

static void hash_8_or_16(const DigestLane* lanes, size_t count) {
  count <= 8 ? hash_lanes<8>(lanes, count) : hash_lanes<16>(lanes, count);
}

const DigestKernel kDigestAvx512 = {"avx512", 16, hash_8_or_16};

}  // namespace cairn
