// The BF16 gradients that items were made with, found again as base/replay/gradient.cc finds them.
#include "base/replay/gradient.h"
#include "gpu/program_run.h"
#include "gpu/transform_launch.h"
#include "gpu/transform_tile.h"

namespace cairn::gpu {

namespace {

constexpr unsigned kGroups = kGradientRun / (4 * kTileThreads);  // of four items, for each thread
static_assert(kGroups * 4 * kTileThreads == kGradientRun);

struct FinderMemory {
  ProgramRegisters registers;
  ProgramRecord program, guesser;
};

/// One copy of the code for all places.
CAIRN_DEVICE_CALL Floats4 run_apart(Floats4* slots, const ProgramRecord& program) {
  return run_program(slots, program);
}

/// A gradient for each of four items.
struct Gradients4 {
  uint16_t of[4];
};

/// Four items of a thread, and what makes them.
class ItemGroup {
 public:
  CAIRN_DEVICE ItemGroup(FinderMemory& memory, const ChunkRecord& chunk, uint64_t first,
                         unsigned count)
      : memory_(memory),
        chunk_(chunk),
        first_(first),
        count_(count),
        items_(load_items4(result(), chunk.items + first * item_bytes(result()), count)) {}

  CAIRN_DEVICE Gradients4 guess() const {
    const InputPointers inputs{{chunk_.items, chunk_.inputs.of[0], chunk_.inputs.of[1]}};
    load_inputs(slots(), memory_.guesser, memory_.guesser.inputs, inputs, first_, count_);
    const Floats4 guessed = run_apart(slots(), memory_.guesser);
    Gradients4 gradients;
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) gradients.of[i] = bf16_of(__float_as_uint(guessed.of[i]));
    return gradients;
  }
  /// REQUIRES: before gives().
  CAIRN_DEVICE void load_bases() const {
    load_inputs(slots(), memory_.program, bases(), chunk_.inputs, first_, count_);
  }
  /// A bit for each item that the gradients give.
  CAIRN_DEVICE unsigned given_by(const Gradients4& gradients) const {
    Floats4 floats;
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) floats.of[i] = __uint_as_float(f32_of_bf16(gradients.of[i]));
    set_input(slots(), bases(), floats);
    const Floats4 results = run_apart(slots(), memory_.program);
    unsigned given = 0;
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      given |= (item_of(result(), results.of[i]) == item(result(), items_, i) ? 1u : 0u) << i;
    }
    return given;
  }
  CAIRN_DEVICE bool has_faint(const Gradients4& gradients) const {
    const ReplayDtype dtype = memory_.program.dtypes[0];
    const uint64_t at = first_ * item_bytes(dtype);
    const RawItems4 past = load_items4(dtype, chunk_.inputs.of[0] + at, count_);
    const unsigned exponent_bit = 8 * item_bytes(dtype) - 9;  // where it begins, of F32 and BF16
    bool is_faint = false;
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      const int size = gradients.of[i] >> 7 & 0xff;
      const int size_before = static_cast<int>(item(dtype, past, i) >> exponent_bit & 0xff);
      is_faint |= i < count_ && size != 0 && size < size_before - memory_.program.faint;
    }
    return is_faint;
  }
  /// Those of which `which` has the bit, of items that are there.
  CAIRN_DEVICE void store(const Gradients4& gradients, unsigned which) const {
    auto* const to = reinterpret_cast<uint16_t*>(chunk_.inputs.of[bases()]) + first_;
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      if (i < count_ && (which >> i & 1) != 0) to[i] = gradients.of[i];
    }
  }

 private:
  CAIRN_DEVICE Floats4* slots() const { return memory_.registers.slots; }
  CAIRN_DEVICE ReplayDtype result() const { return memory_.program.result; }
  CAIRN_DEVICE unsigned bases() const { return memory_.program.inputs - 1; }
  CAIRN_DEVICE static uint32_t item(ReplayDtype dtype, const RawItems4& raw, unsigned i) {
    return dtype == ReplayDtype::kF32 ? raw.words[i] : half_of(raw, i);
  }

  FinderMemory& memory_;
  const ChunkRecord& chunk_;
  uint64_t first_;
  unsigned count_;
  RawItems4 items_;
};

constexpr unsigned kAllFour = 0xf;

/// Where the guess does not give the item its neighbours are tried; if none does it stays.
CAIRN_DEVICE Gradients4 best_gradients(const ItemGroup& group) {
  const Gradients4 guess = group.guess();
  Gradients4 best = guess;
  group.load_bases();
  unsigned wrong = kAllFour & ~group.given_by(guess);
#pragma unroll 1
  for (unsigned attempt = 0; attempt < kGradientNeighbours && wrong != 0; ++attempt) {
    Gradients4 beside;
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      beside.of[i] = static_cast<uint16_t>(guess.of[i] + gradient_neighbour(attempt));
    }
    const unsigned right = wrong & group.given_by(beside);
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      if ((right >> i & 1) != 0) best.of[i] = beside.of[i];
    }
    wrong &= ~right;
  }
  return best;
}

/// Those of one run, which begins at item `begin` of the tile.
template <class U>
CAIRN_DEVICE void find_in_run(FinderMemory& memory, const TileItems<U>& tile, unsigned begin) {
  const auto for_each_group = [&](const auto& call) {
#pragma unroll 1
    for (unsigned number = 0; number < kGroups; ++number) {
      const unsigned offset = begin + (number * kTileThreads + threadIdx.x) * 4;
      const unsigned left = offset < tile.count ? tile.count - offset : 0;
      if (left == 0) break;
      call(ItemGroup(memory, tile.chunk, tile.first + offset, left < 4 ? left : 4));
    }
  };
  bool has_faint = false;
  for_each_group([&](const ItemGroup& group) {
    const Gradients4 best = best_gradients(group);
    group.store(best, kAllFour);
    has_faint |= group.has_faint(best);
  });
  if (__syncthreads_or(has_faint ? 1 : 0) == 0) return;
  for_each_group([&](const ItemGroup& group) {
    group.load_bases();
    group.store({}, group.given_by({}));
  });
}

template <class U>
__global__ void __launch_bounds__(kTileThreads) find_gradients_of_tiles(TransformWork work) {
  auto& memory = shared<FinderMemory>();
  Floats4* const slots = memory.registers.slots;
  for (uint64_t number = blockIdx.x; number < work.tiles; number += gridDim.x) {
    const TileItems<U> tile(work, number);
    load_program(work.programs[tile.chunk.program], memory.program, slots);
    load_program(work.guessers[tile.chunk.program], memory.guesser, slots);
    __syncthreads();
    if (memory.program.has_gradient != 0) {
      for (unsigned begin = 0; begin < tile.count; begin += kGradientRun) {
        find_in_run(memory, tile, begin);
      }
    }
    __syncthreads();
  }
}

}  // namespace

Status launch_find_gradients(const TransformCall& call, unsigned item_bytes) {
  const auto kernel =
      item_bytes == 4 ? find_gradients_of_tiles<uint32_t> : find_gradients_of_tiles<uint16_t>;
  return launch(call.stream, call.shape, "find_gradients", kernel, call.work);
}

}  // namespace cairn::gpu
