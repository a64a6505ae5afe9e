// Residuals as planes, as ItemKernel::split makes them of each block (docs/FORMAT.md, section 7.2).
// For kernels.
#pragma once

#include "base/encodings/block.h"
#include "gpu/coded_memory.h"
#include "gpu/item_source.h"

namespace cairn::gpu {

template <class U>
class PlaneCoding {
 public:
  using Memory = NoMemory;

  CAIRN_DEVICE static void put(const CodedMemory& coded, const TileItems<U>& tile,
                               const ItemVector<U> (&residuals)[kTileRounds], Memory&) {
    const Place place = place_of(coded, tile);
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      const unsigned count = tile.present(round);
      const PlaneVector<U> planes = planes_of(residuals[round]);
      uint8_t* const to = place.planes + tile.offset(round);
#pragma unroll
      for (unsigned plane = 0; plane < sizeof(U); ++plane) {
        uint8_t* const run = to + plane * place.stride;
        if (place.is_aligned && count == kItems) {
          planes.store(plane, run);
        } else {
#pragma unroll
          for (unsigned i = 0; i < kItems; ++i) {
            if (i < count) run[i] = planes.byte(plane, i);
          }
        }
      }
    }
  }

  /// Always true: all bytes are planes of something.
  CAIRN_DEVICE static bool take(const CodedMemory& coded, const TileItems<U>& tile,
                                ItemVector<U> (&residuals)[kTileRounds], Memory&) {
    const Place place = place_of(coded, tile);
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      const unsigned count = tile.present(round);
      const uint8_t* const from = place.planes + tile.offset(round);
      PlaneVector<U> planes{};
#pragma unroll
      for (unsigned plane = 0; plane < sizeof(U); ++plane) {
        const uint8_t* const run = from + plane * place.stride;
        if (place.is_aligned && count == kItems) {
          planes.load(plane, run);
        } else {
#pragma unroll
          for (unsigned i = 0; i < kItems; ++i) {
            if (i < count) planes.put_byte(plane, i, run[i]);
          }
        }
      }
      residuals[round] = items_of(planes);
    }
    return true;
  }

 private:
  static constexpr unsigned kItems = ItemVector<U>::kItems;

  struct Place {
    uint8_t* planes;  ///< where the tile's first item has its lowest byte
    uint64_t stride;  ///< from plane to plane
    bool is_aligned;  ///< all planes begin at multiples of 16
  };

  CAIRN_DEVICE static Place place_of(const CodedMemory& coded, const TileItems<U>& tile) {
    const uint64_t block = tile.first / kBlockItems * kBlockItems;
    const uint64_t left = tile.chunk.count - block;
    const uint64_t stride = left < kBlockItems ? left : kBlockItems;
    uint8_t* const planes = coded.codes + tile.chunk.coded + block * sizeof(U);
    return {planes + (tile.first - block), stride, stride % 16 == 0};
  }
};

}  // namespace cairn::gpu
