// Predictions that one base gives item by item: itself, or cast to another dtype. For kernels.
//
// A source is made for a tile, with memory that the block shares: scratch until it is made, kept
// until it has loaded. It then loads what predicts the items of a thread in all rounds, and
// combines it with items to residuals and with residuals to items. It has nothing to load for items
// that are not there, whose residuals are 0. A multiprocessor shall have registers for kBlocks
// blocks.
#pragma once

#include "base/encodings/item_math.h"
#include "gpu/transform_tile.h"

namespace cairn::gpu {

struct NoMemory {};

/// Calls with the words of both, of which each has whole items.
template <class U, class Combine>
CAIRN_DEVICE ItemVector<U> combined(const ItemVector<U>& a, const ItemVector<U>& b,
                                    Combine combine) {
  ItemVector<U> result{};
  if constexpr (sizeof(U) == 8) {
#pragma unroll
    for (unsigned i = 0; i < 2; ++i) result.put(i, combine(a.at(i), b.at(i)));
  } else {
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) result.words[i] = combine(a.words[i], b.words[i]);
  }
  return result;
}

template <bool kIsFloat, class U>
CAIRN_DEVICE ItemVector<U> residual_vector(const ItemVector<U>& items,
                                           const ItemVector<U>& prediction) {
  return combined(items, prediction,
                  [](auto a, auto b) { return residuals_of<kIsFloat, U, decltype(a)>(a, b); });
}
template <bool kIsFloat, class U>
CAIRN_DEVICE ItemVector<U> corrected_vector(const ItemVector<U>& prediction,
                                            const ItemVector<U>& residuals) {
  return combined(prediction, residuals,
                  [](auto a, auto b) { return corrected<kIsFloat, U, decltype(a)>(a, b); });
}

template <class U>
CAIRN_DEVICE ItemVector<U> xor_of(const ItemVector<U>& a, const ItemVector<U>& b) {
  return {{a.words[0] ^ b.words[0], a.words[1] ^ b.words[1], a.words[2] ^ b.words[2],
           a.words[3] ^ b.words[3]}};
}

/// Nothing, or a base of the same items.
template <class U>
class PlainSource {
 public:
  using Item = U;
  using Scratch = NoMemory;
  using Kept = NoMemory;
  static constexpr unsigned kBlocks = 4;
  using Loaded = ItemVector<U>;

  CAIRN_DEVICE PlainSource(const TransformWork& work, const TileItems<U>&, Scratch&, Kept&)
      : combination_(work.combination) {}

  CAIRN_DEVICE void load(const TileItems<U>& tile, Loaded (&loaded)[kTileRounds]) const {
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      const uint64_t at = (tile.first + tile.offset(round)) * sizeof(U);
      const unsigned count = combination_ == Combination::kItself ? 0 : tile.present(round);
      loaded[round] = load_items<U>(tile.chunk.inputs.of[0] + at, count);
    }
  }
  CAIRN_DEVICE ItemVector<U> residuals(const ItemVector<U>& items, const Loaded& base) const {
    if (combination_ == Combination::kFloats) return residual_vector<true>(items, base);
    if (combination_ == Combination::kIntegers) return residual_vector<false>(items, base);
    return xor_of(items, base);  // an item itself is itself XOR 0
  }
  CAIRN_DEVICE ItemVector<U> items(const ItemVector<U>& residuals, const Loaded& base) const {
    if (combination_ == Combination::kFloats) return corrected_vector<true>(base, residuals);
    if (combination_ == Combination::kIntegers) return corrected_vector<false>(base, residuals);
    return xor_of(residuals, base);
  }

 private:
  Combination combination_;
};

/// A base in another dtype: U is of 2 bytes, from F32, or of 4 bytes, to F32.
template <class U>
class DerivedSource {
 public:
  using Item = U;
  using Scratch = NoMemory;
  using Kept = NoMemory;
  static constexpr unsigned kBlocks = sizeof(U) == 2 ? 3 : 4;
  static constexpr bool kIsNarrow = sizeof(U) == 2;
  /// As many words as the base has of the items of a vector.
  struct Loaded {
    unsigned words[kIsNarrow ? 8 : 2];
  };

  CAIRN_DEVICE DerivedSource(const TransformWork& work, const TileItems<U>&, Scratch&, Kept&)
      : is_bf16_(work.is_bf16) {}

  CAIRN_DEVICE void load(const TileItems<U>& tile, Loaded (&loaded)[kTileRounds]) const {
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) loaded[round] = load(tile, round);
  }
  CAIRN_DEVICE ItemVector<U> residuals(const ItemVector<U>& items, const Loaded& base) const {
    return residual_vector<true>(items, prediction(base));
  }
  CAIRN_DEVICE ItemVector<U> items(const ItemVector<U>& residuals, const Loaded& base) const {
    return corrected_vector<true>(prediction(base), residuals);
  }

 private:
  CAIRN_DEVICE static Loaded load(const TileItems<U>& tile, unsigned round) {
    const uint64_t first = tile.first + tile.offset(round);
    const unsigned count = tile.present(round);
    if constexpr (kIsNarrow) {
      const uint8_t* base = tile.chunk.inputs.of[0] + first * 4;
      const auto low = load_items<uint32_t>(base, count < 4 ? count : 4);
      const auto high = load_items<uint32_t>(base + 16, count < 4 ? 0 : count - 4);
      return {{low.words[0], low.words[1], low.words[2], low.words[3], high.words[0], high.words[1],
               high.words[2], high.words[3]}};
    } else {
      const uint8_t* base = tile.chunk.inputs.of[0] + first * 2;
      if (count == 4) {
        const uint2 both = *aligned<const uint2>(base);
        return {{both.x, both.y}};
      }
      const auto few = load_items<uint16_t>(base, count);
      return {{few.words[0], few.words[1]}};
    }
  }
  CAIRN_DEVICE ItemVector<U> prediction(const Loaded& base) const {
    return is_bf16_ ? cast<true>(base) : cast<false>(base);
  }
  template <bool kBf16>
  CAIRN_DEVICE static ItemVector<U> cast(const Loaded& base) {
    ItemVector<U> result{};
#pragma unroll
    for (unsigned i = 0; i < ItemVector<U>::kItems; ++i) {
      if constexpr (kIsNarrow) {
        result.put(i, kBf16 ? bf16_of(base.words[i]) : f16_of(base.words[i]));
      } else {
        const auto half = static_cast<uint16_t>(base.words[i / 2] >> (16 * (i % 2)));
        result.put(i, kBf16 ? f32_of_bf16(half) : f32_of_f16(half));
      }
    }
    return result;
  }

  bool is_bf16_;
};

}  // namespace cairn::gpu
