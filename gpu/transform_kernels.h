// The kernels of transforms: a source of residuals and what becomes of them. For the .cu files that
// instantiate them.
#pragma once

#include <type_traits>

#include "gpu/escape_coding.h"
#include "gpu/plane_coding.h"
#include "gpu/residual_counting.h"
#include "gpu/transform_launch.h"

namespace cairn::gpu {

/// What a block shares: its source is done with its scratch memory when the coding begins.
template <class Source, class Coding>
struct TileMemory {
  union {
    typename Source::Scratch scratch;
    typename Coding::Memory coding;
  };
  typename Source::Kept kept;
};

/// Between the uses of memory that the threads share; nothing to wait for without.
template <class... Memories>
CAIRN_DEVICE void wait_for_memory() {
  if constexpr (!(std::is_empty_v<Memories> && ...)) __syncthreads();
}

template <class Source, class Coding>
__global__ void __launch_bounds__(kTileThreads, Source::kBlocks)
    encode_tiles(TransformWork work, CodedMemory coded) {
  using U = typename Source::Item;
  auto& memory = shared<TileMemory<Source, Coding>>();
  for (uint64_t number = blockIdx.x; number < work.tiles; number += gridDim.x) {
    const TileItems<U> tile(work, number);
    const Source source(work, tile, memory.scratch, memory.kept);
    typename Source::Loaded loaded[kTileRounds];
    source.load(tile, loaded);
    ItemVector<U> residuals[kTileRounds];  // items first; all loads before the first use
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      residuals[round] = load_items<U>(tile.items(round), tile.present(round));
    }
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      residuals[round] = source.residuals(residuals[round], loaded[round]);
    }
    wait_for_memory<typename Source::Scratch>();
    Coding::put(coded, tile, residuals, memory.coding);
    wait_for_memory<typename Source::Scratch, typename Coding::Memory>();
  }
}

/// Items may be the base itself: a thread has loaded what it overwrites.
template <class Source, class Coding>
__global__ void __launch_bounds__(kTileThreads, Source::kBlocks)
    decode_tiles(TransformWork work, CodedMemory coded) {
  using U = typename Source::Item;
  auto& memory = shared<TileMemory<Source, Coding>>();
  for (uint64_t number = blockIdx.x; number < work.tiles; number += gridDim.x) {
    const TileItems<U> tile(work, number);
    const Source source(work, tile, memory.scratch, memory.kept);
    wait_for_memory<typename Source::Scratch>();
    ItemVector<U> residuals[kTileRounds];
    if (Coding::take(coded, tile, residuals, memory.coding)) {
      typename Source::Loaded loaded[kTileRounds];
      source.load(tile, loaded);
#pragma unroll
      for (unsigned round = 0; round < kTileRounds; ++round) {
        store_items(source.items(residuals[round], loaded[round]), tile.present(round),
                    tile.items(round));
      }
    }
    wait_for_memory<typename Source::Scratch, typename Coding::Memory>();
  }
}

/// The launch that a call asks for, of a source.
template <class Source>
Status launch_with(const TransformCall& call) {
  using U = typename Source::Item;
  const auto launch_kernel = [&](const char* name, auto* kernel) {
    return launch(call.stream, call.shape, name, kernel, call.work, call.coded);
  };
  const bool decodes = call.action == TransformAction::kDecode;
  if (call.action == TransformAction::kCount) {
    return launch_kernel("count_residuals", encode_tiles<Source, ResidualCounting<U>>);
  }
  switch (call.coding) {
    case Coding::kPlanes:
      return decodes ? launch_kernel("decode_planes", decode_tiles<Source, PlaneCoding<U>>)
                     : launch_kernel("encode_planes", encode_tiles<Source, PlaneCoding<U>>);
    case Coding::kSparse:
      return decodes ? launch_kernel("decode_sparse", decode_tiles<Source, EscapeCoding<U, 1>>)
                     : launch_kernel("encode_sparse", encode_tiles<Source, EscapeCoding<U, 1>>);
    case Coding::kQuads:
      return decodes ? launch_kernel("decode_quads", decode_tiles<Source, EscapeCoding<U, 2>>)
                     : launch_kernel("encode_quads", encode_tiles<Source, EscapeCoding<U, 2>>);
  }
  return fail(Code::kBug, "a transform of a coding that is not known");
}

}  // namespace cairn::gpu
