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
  static constexpr unsigned kBlocks = sizeof(U) == 2 ? 3 : 4;
  struct Scratch {
    ProgramRegisters registers;
    ProgramRecord program;
  };
  struct Kept {
    alignas(16) U predictions[TileItems<U>::kItems];
  };
  static_assert(kTileThreads == kProgramThreads);

  /// Predicts four items at a time, in a loop that is not unrolled: its code is long, and no array
  /// that it fills could stay in registers. Waits for the block's other threads.
  CAIRN_DEVICE ReplaySource(const TransformWork& work, const TileItems<U>& tile, Scratch& scratch,
                            Kept& kept)
      : kept_(kept) {
    load_program(work.programs[tile.chunk.program], scratch.program, scratch.registers.slots);
    __syncthreads();
    constexpr unsigned kGroups = ItemVector<U>::kItems / 4;  // of a vector
#pragma unroll 1
    for (unsigned number = 0; number < kTileRounds * kGroups; ++number) {
      const unsigned begin = tile.offset(number / kGroups) + number % kGroups * 4;
      const unsigned left = begin < tile.count ? tile.count - begin : 0;
      predict(tile, begin, left < 4 ? left : 4, scratch);
    }
  }

  /// Each thread has predicted what it loads.
  CAIRN_DEVICE void load(const TileItems<U>& tile, Loaded (&loaded)[kTileRounds]) const {
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      const auto* from = reinterpret_cast<const uint8_t*>(&kept_.predictions[tile.offset(round)]);
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
  CAIRN_DEVICE void predict(const TileItems<U>& tile, unsigned begin, unsigned count,
                            Scratch& scratch) const {
    Floats4* const slots = scratch.registers.slots;
    const ProgramRecord& program = scratch.program;
    load_inputs(slots, program, program.inputs, tile.chunk.inputs, tile.first + begin, count);
    const Floats4 results = run_program(slots, program);
    U items[4];
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      items[i] = i < count ? static_cast<U>(item_of(program.result, results.of[i])) : U{0};
    }
    auto* const to = reinterpret_cast<uint8_t*>(&kept_.predictions[begin]);
    if constexpr (sizeof(U) == 4) {
      *aligned<uint4>(to) = make_uint4(items[0], items[1], items[2], items[3]);
    } else {
      const auto pair = [&](unsigned i) { return items[i] | unsigned{items[i + 1]} << 16; };
      *aligned<uint2>(to) = make_uint2(pair(0), pair(2));
    }
  }

  Kept& kept_;
};

}  // namespace cairn::gpu
