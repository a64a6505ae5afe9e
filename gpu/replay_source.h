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
  static constexpr unsigned kBlocks = 4;  // with fewer registers it spills
  struct Memory {
    ProgramRegisters registers;
    ProgramRecord program;
    alignas(16) U predictions[TileItems<U>::kItems];
  };
  static_assert(kTileThreads == kProgramThreads);

  /// Waits for the block's other threads.
  CAIRN_DEVICE ReplaySource(const TransformWork& work, const TileItems<U>& tile, Memory& memory)
      : memory_(memory) {
    load_program(work.programs[tile.chunk.program], memory.program, memory.registers.slots);
    __syncthreads();
  }

  /// Four items at a time, in a loop that is not unrolled: its code is long, and no array that it
  /// fills could stay in registers. Each thread reads only what it has written.
  CAIRN_DEVICE void load(const TileItems<U>& tile, Loaded (&loaded)[kTileRounds]) const {
    constexpr unsigned kGroups = ItemVector<U>::kItems / 4;  // of a vector
#pragma unroll 1
    for (unsigned number = 0; number < kTileRounds * kGroups; ++number) {
      const unsigned begin = tile.offset(number / kGroups) + number % kGroups * 4;
      const unsigned left = begin < tile.count ? tile.count - begin : 0;
      predict(tile, begin, left < 4 ? left : 4);
    }
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      const auto* from = reinterpret_cast<const uint8_t*>(&memory_.predictions[tile.offset(round)]);
      loaded[round] = load_items<U>(from, ItemVector<U>::kItems);
    }
  }
  CAIRN_DEVICE ItemVector<U> residuals(const ItemVector<U>& items, const Loaded& prediction) const {
    return residual_vector<true>(items, prediction);
  }
  CAIRN_DEVICE ItemVector<U> items(const ItemVector<U>& residuals, const Loaded& prediction) const {
    return corrected_vector<true>(prediction, residuals);
  }

 private:
  /// The four items from `begin` on, zeros for those from `count` on.
  CAIRN_DEVICE void predict(const TileItems<U>& tile, unsigned begin, unsigned count) const {
    Floats4* const slots = memory_.registers.slots;
    const ProgramRecord& program = memory_.program;
    load_inputs(slots, program, program.inputs, tile.chunk.inputs, tile.first + begin, count);
    const Floats4 results = run_program(slots, program);
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      const auto item = static_cast<U>(item_of(program.result, results.of[i]));
      memory_.predictions[begin + i] = i < count ? item : U{0};
    }
  }

  Memory& memory_;
};

}  // namespace cairn::gpu
