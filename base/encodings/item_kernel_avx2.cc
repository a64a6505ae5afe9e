// The kernel of 32-byte vectors, compiled for AVX2; called only where the processor has it.
#include "base/encodings/item_kernel_lanes.h"

namespace cairn {

const ItemKernel kItemsAvx2 = KernelOfLanes<32>::named("avx2");

}  // namespace cairn
