// Sixteen bytes of items in registers, and the same bytes plane by plane. For kernels.
#pragma once

#include "gpu/kernel.h"

namespace cairn::gpu {

/// U: an unsigned number of 1, 2, 4 or 8 bytes. Indices are known when a kernel is compiled, once
/// its loops are unrolled, so all of it stays in registers.
template <class U>
struct ItemVector {
  static constexpr unsigned kItems = 16 / sizeof(U);

  unsigned words[4];

  CAIRN_DEVICE U at(unsigned i) const {
    if constexpr (sizeof(U) == 8) {
      return words[2 * i] | U{words[2 * i + 1]} << 32;
    } else {
      constexpr unsigned kOfWord = 4 / sizeof(U);
      return static_cast<U>(words[i / kOfWord] >> (8 * sizeof(U) * (i % kOfWord)));
    }
  }
  /// REQUIRES: item i is 0.
  CAIRN_DEVICE void put(unsigned i, U item) {
    if constexpr (sizeof(U) == 8) {
      words[2 * i] = static_cast<unsigned>(item);
      words[2 * i + 1] = static_cast<unsigned>(item >> 32);
    } else {
      constexpr unsigned kOfWord = 4 / sizeof(U);
      words[i / kOfWord] |= static_cast<unsigned>(item) << (8 * sizeof(U) * (i % kOfWord));
    }
  }
};

/// The first `count` items at a multiple of 16 bytes, and zeros. Reads no other items.
template <class U>
CAIRN_DEVICE ItemVector<U> load_items(const uint8_t* from, unsigned count) {
  if (count == ItemVector<U>::kItems) {
    const uint4 all = *aligned<const uint4>(from);
    return {{all.x, all.y, all.z, all.w}};
  }
  ItemVector<U> items{};
#pragma unroll
  for (unsigned i = 0; i < ItemVector<U>::kItems; ++i) {
    if (i < count) items.put(i, aligned<const U>(from)[i]);
  }
  return items;
}

/// Writes the first `count` items and nothing else.
template <class U>
CAIRN_DEVICE void store_items(const ItemVector<U>& items, unsigned count, uint8_t* to) {
  const unsigned(&w)[4] = items.words;
  if (count == ItemVector<U>::kItems) {
    *aligned<uint4>(to) = make_uint4(w[0], w[1], w[2], w[3]);
    return;
  }
#pragma unroll
  for (unsigned i = 0; i < ItemVector<U>::kItems; ++i) {
    if (i < count) aligned<U>(to)[i] = items.at(i);
  }
}

/// Byte p of each item, for all p: those of plane p are kItems bytes from p * kItems on.
template <class U>
struct PlaneVector {
  static constexpr unsigned kItems = ItemVector<U>::kItems;

  unsigned words[4];

  CAIRN_DEVICE uint8_t byte(unsigned plane, unsigned i) const {
    const unsigned at = plane * kItems + i;
    return static_cast<uint8_t>(words[at / 4] >> (8 * (at % 4)));
  }
  /// REQUIRES: the byte is 0.
  CAIRN_DEVICE void put_byte(unsigned plane, unsigned i, uint8_t byte) {
    const unsigned at = plane * kItems + i;
    words[at / 4] |= unsigned{byte} << (8 * (at % 4));
  }

  // All bytes of a plane at once, at a multiple of kItems.
  CAIRN_DEVICE void store(unsigned plane, uint8_t* to) const {
    const unsigned(&w)[4] = words;
    if constexpr (sizeof(U) == 1) *aligned<uint4>(to) = make_uint4(w[0], w[1], w[2], w[3]);
    if constexpr (sizeof(U) == 2) {
      *aligned<uint2>(to) = make_uint2(w[2 * plane], w[2 * plane + 1]);
    }
    if constexpr (sizeof(U) == 4) *aligned<unsigned>(to) = w[plane];
    if constexpr (sizeof(U) == 8) {
      *aligned<uint16_t>(to) = static_cast<uint16_t>(w[plane / 2] >> (16 * (plane % 2)));
    }
  }
  /// REQUIRES: the plane is 0.
  CAIRN_DEVICE void load(unsigned plane, const uint8_t* from) {
    if constexpr (sizeof(U) == 1) {
      const uint4 all = *aligned<const uint4>(from);
      words[0] = all.x, words[1] = all.y, words[2] = all.z, words[3] = all.w;
    }
    if constexpr (sizeof(U) == 2) {
      const uint2 both = *aligned<const uint2>(from);
      words[2 * plane] = both.x, words[2 * plane + 1] = both.y;
    }
    if constexpr (sizeof(U) == 4) words[plane] = *aligned<const unsigned>(from);
    if constexpr (sizeof(U) == 8) {
      words[plane / 2] |= unsigned{*aligned<const uint16_t>(from)} << (16 * (plane % 2));
    }
  }
};

// What __byte_perm picks of two words a and b: bytes 0 to 3 are a's, 4 to 7 are b's.
inline constexpr unsigned kEvenBytes = 0x6420, kOddBytes = 0x7531;  // a0 a2 b0 b2, a1 a3 b1 b3
inline constexpr unsigned kZipLow = 0x5140, kZipHigh = 0x7362;      // a0 b0 a1 b1, a2 b2 a3 b3
inline constexpr unsigned kLowHalves = 0x5410, kHighHalves = 0x7632;

/// Words of four bytes each become the words of their first bytes, their second ones, ...
CAIRN_DEVICE void transpose_words(const unsigned (&w)[4], unsigned (&out)[4]) {
  const unsigned low = __byte_perm(w[0], w[1], kZipLow), low2 = __byte_perm(w[2], w[3], kZipLow);
  const unsigned high = __byte_perm(w[0], w[1], kZipHigh),
                 high2 = __byte_perm(w[2], w[3], kZipHigh);
  out[0] = __byte_perm(low, low2, kLowHalves);
  out[1] = __byte_perm(low, low2, kHighHalves);
  out[2] = __byte_perm(high, high2, kLowHalves);
  out[3] = __byte_perm(high, high2, kHighHalves);
}

template <class U>
CAIRN_DEVICE PlaneVector<U> planes_of(const ItemVector<U>& items) {
  const unsigned(&w)[4] = items.words;
  if constexpr (sizeof(U) == 1) return {{w[0], w[1], w[2], w[3]}};
  if constexpr (sizeof(U) == 2) {
    return {{__byte_perm(w[0], w[1], kEvenBytes), __byte_perm(w[2], w[3], kEvenBytes),
             __byte_perm(w[0], w[1], kOddBytes), __byte_perm(w[2], w[3], kOddBytes)}};
  }
  if constexpr (sizeof(U) == 8) {
    return {{__byte_perm(w[0], w[2], kZipLow), __byte_perm(w[0], w[2], kZipHigh),
             __byte_perm(w[1], w[3], kZipLow), __byte_perm(w[1], w[3], kZipHigh)}};
  }
  PlaneVector<U> planes;
  transpose_words(w, planes.words);
  return planes;
}

/// The inverse.
template <class U>
CAIRN_DEVICE ItemVector<U> items_of(const PlaneVector<U>& planes) {
  const unsigned(&w)[4] = planes.words;
  if constexpr (sizeof(U) == 1) return {{w[0], w[1], w[2], w[3]}};
  if constexpr (sizeof(U) == 2) {
    return {{__byte_perm(w[0], w[2], kZipLow), __byte_perm(w[0], w[2], kZipHigh),
             __byte_perm(w[1], w[3], kZipLow), __byte_perm(w[1], w[3], kZipHigh)}};
  }
  if constexpr (sizeof(U) == 8) {
    return {{__byte_perm(w[0], w[1], kEvenBytes), __byte_perm(w[2], w[3], kEvenBytes),
             __byte_perm(w[0], w[1], kOddBytes), __byte_perm(w[2], w[3], kOddBytes)}};
  }
  ItemVector<U> items;
  transpose_words(w, items.words);
  return items;
}

}  // namespace cairn::gpu
