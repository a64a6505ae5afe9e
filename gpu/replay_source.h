// Predictions that a replay program gives. For kernels.
#pragma once

#include "gpu/item_source.h"
#include "gpu/program_run.h"

namespace cairn::gpu {

/// U is of 4 bytes for results in F32, of 2 for the others.
template <class U>
class ReplaySource {
 public:
  using Item = U;
  using Loaded = ItemVector<U>;
  struct Memory {
    ProgramRegisters registers;
    ProgramRecord program;
  };
  static_assert(kTileThreads == kProgramThreads);

  /// Waits for the block's other threads.
  CAIRN_DEVICE ReplaySource(const TransformWork& work, const TileItems<U>& tile, Memory& memory)
      : memory_(memory) {
    load_program(work.programs[tile.chunk.program], memory.program, memory.registers.slots);
    __syncthreads();
  }

  CAIRN_DEVICE Loaded load(const TileItems<U>& tile, unsigned round) const {
    Floats4* const slots = memory_.registers.slots;
    const uint64_t first = tile.first + tile.offset(round);
    const unsigned present = tile.present(round);
    ItemVector<U> prediction{};
#pragma unroll
    for (unsigned group = 0; group < ItemVector<U>::kItems; group += 4) {
      const unsigned count = present < group ? 0 : present - group;
      load_inputs(slots, memory_.program, memory_.program.inputs, tile.chunk.inputs, first + group,
                  count < 4 ? count : 4);
      const Floats4 results = run_program(slots, memory_.program);
#pragma unroll
      for (unsigned i = 0; i < 4; ++i) {
        const auto item = static_cast<U>(item_of(memory_.program.result, results.of[i]));
        prediction.put(group + i, i < count ? item : U{0});
      }
    }
    return prediction;
  }
  CAIRN_DEVICE ItemVector<U> residuals(const ItemVector<U>& items, const Loaded& prediction) const {
    return residuals_of<true>(items, prediction);
  }
  CAIRN_DEVICE ItemVector<U> items(const ItemVector<U>& residuals, const Loaded& prediction) const {
    return corrected_by<true>(residuals, prediction);
  }

 private:
  Memory& memory_;
};

}  // namespace cairn::gpu
