// One item at a time: what docs/FORMAT.md says, in the shortest way. The portable kernel is made of
// these, wider kernels use them for what is left over. In an anonymous namespace, and nothing of
// the standard library but memcpy is called: files compiled for wider machines include this.
#pragma once

#include <cstring>

#include "base/encodings/item_kernel.h"
#include "base/encodings/item_math.h"

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set, see above

template <class T>
[[gnu::always_inline]] inline T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
[[gnu::always_inline]] inline void store(uint8_t* to, const T& value) {
  std::memcpy(to, &value, sizeof value);
}

template <class U>
struct Scalar {
  template <bool kIsFloat>
  static void subtract(const uint8_t* items, const uint8_t* prediction, size_t count,
                       uint8_t* residuals, ResidualCounts& counts) {
    U bits = 0;
    for (size_t at = 0; at < count * sizeof(U); at += sizeof(U)) {
      const U z = residuals_of<kIsFloat, U>(load<U>(items + at), load<U>(prediction + at));
      store(residuals + at, z);
      counts.zeros += z == 0;
      counts.ones += z == 1;
      counts.twos += z == 2;
      bits |= z;
    }
    counts.bits |= bits;
  }
  template <bool kIsFloat>
  static void correct(const uint8_t* residuals, size_t count, uint8_t* items) {
    for (size_t at = 0; at < count * sizeof(U); at += sizeof(U)) {
      store(items + at, corrected<kIsFloat, U>(load<U>(items + at), load<U>(residuals + at)));
    }
  }

  static void split(const uint8_t* items, size_t count, uint8_t* planes, size_t stride) {
    for (size_t plane = 0; plane < sizeof(U); ++plane) {
      for (size_t i = 0; i < count; ++i) {
        planes[plane * stride + i] = items[i * sizeof(U) + plane];
      }
    }
  }
  static void join(const uint8_t* const* planes, size_t first, size_t count, uint8_t* items) {
    for (size_t i = 0; i < count; ++i) {
      for (size_t plane = 0; plane < sizeof(U); ++plane) {
        items[i * sizeof(U) + plane] = planes[plane][first + i];
      }
    }
  }

  static size_t pack_quads(const uint8_t* residuals, size_t count, uint8_t* quads,
                           uint8_t* larger) {
    size_t found = 0;
    for (size_t i = 0; i < count; i += 4) {
      unsigned quad = 0;
      for (size_t j = i; j < i + 4 && j < count; ++j) {
        const U z = load<U>(residuals + j * sizeof(U));
        quad |= (z < 3 ? static_cast<unsigned>(z) : 3) << 2 * (j - i);
        store(larger + found * sizeof(U), static_cast<U>(z - 3));  // stays if z is one of them
        found += z >= 3;
      }
      quads[i / 4] = static_cast<uint8_t>(quad);
    }
    return found;
  }
  /// Returns how many of `larger` it took.
  static size_t unpack_quads(const uint8_t* quads, size_t count, const uint8_t* larger,
                             uint8_t* residuals) {
    size_t taken = 0;
    for (size_t i = 0; i < count; ++i) {
      const unsigned quad = quads[i / 4] >> 2 * (i % 4) & 3;
      const U more = quad == 3 ? load<U>(larger + taken * sizeof(U)) : U{0};
      store(residuals + i * sizeof(U), static_cast<U>(quad + more));
      taken += quad == 3;
    }
    return taken;
  }

  static size_t find_others(const uint8_t* items, size_t first, size_t count, U common,
                            uint16_t* numbers) {
    constexpr size_t kBits = 8 * sizeof(U), kLanes = 64 / kBits;
    const uint64_t all_common = ~uint64_t{0} / static_cast<U>(-1) * common;
    size_t found = 0, i = first;
    for (; i + kLanes <= count; i += kLanes) {
      // A word of items at a time: most hold no other.
      for (auto word = load<uint64_t>(items + i * sizeof(U)) ^ all_common; word != 0;) {
        const size_t lane = static_cast<size_t>(__builtin_ctzll(word)) / kBits;
        numbers[found++] = static_cast<uint16_t>(i + lane);
        word &= ~(uint64_t{static_cast<U>(-1)} << lane * kBits);
      }
    }
    for (; i < count; ++i) {
      if (load<U>(items + i * sizeof(U)) != common) numbers[found++] = static_cast<uint16_t>(i);
    }
    return found;
  }

  /// From a word's first item on.
  static void mark_classes(const uint8_t* items, size_t first, size_t count, const uint8_t* least,
                           unsigned classes, ClassMarks& marks) {
    uint8_t class_of[256];
    for (unsigned size = 0; size < 256; ++size) {
      unsigned number = 0;
      while (number + 1 < classes && size < least[number]) ++number;
      class_of[size] = static_cast<uint8_t>(number);
    }
    if (first == 0) {
      for (unsigned number = 0; number < classes; ++number) marks.before[number][0] = 0;
    }
    for (size_t word = first / 64; word < 1024; ++word) {
      for (unsigned number = 0; number < classes; ++number) {
        marks.words[number][word] = 0;
        marks.before[number][word + 1] = marks.before[number][word];
      }
      for (size_t i = 64 * word; i < count && i < 64 * word + 64; ++i) {
        const U item = load<U>(items + i * sizeof(U));
        const unsigned number = class_of[item >> (8 * sizeof(U) - 9) & 0xff];
        marks.words[number][word] |= uint64_t{1} << i % 64;
        ++marks.before[number][word + 1];
      }
    }
  }
};

/// Which bit of the word is the one after `place` others. REQUIRES: there is one.
[[gnu::always_inline]] inline size_t select_bit(uint64_t word, size_t place) {
#if defined(__BMI2__)
  return static_cast<size_t>(__builtin_ctzll(__builtin_ia32_pdep_di(uint64_t{1} << place, word)));
#else
  for (; place > 0; --place) word &= word - 1;
  return static_cast<size_t>(__builtin_ctzll(word));
#endif
}
/// Within 32 words places are searched by halves, without a branch: several searches are under way
/// at a time, where steps from one place to the next would be guessed wrong.
inline void find_places(const ClassMarks& marks, unsigned number, const uint16_t* places,
                        size_t count, uint16_t* numbers) {
  const uint32_t* before = marks.before[number];
  const uint64_t* words = marks.words[number];
  size_t i = 0;
  for (size_t first = 0; i < count; first += 32, before += 32, words += 32) {
    for (; i < count && places[i] < before[32]; ++i) {
      const uint32_t place = places[i];
      size_t word = 0;
#pragma GCC unroll 5
      for (size_t half = 16; half > 0; half /= 2) word += before[word + half] <= place ? half : 0;
      const size_t bit = select_bit(words[word], place - before[word]);
      numbers[i] = static_cast<uint16_t>(64 * (first + word) + bit);
    }
  }
}

inline void bf16_from_f32(const uint8_t* in, size_t count, uint8_t* out) {
  for (size_t i = 0; i < count; ++i) store(out + 2 * i, bf16_of(load<uint32_t>(in + 4 * i)));
}
inline void f32_from_bf16(const uint8_t* in, size_t count, uint8_t* out) {
  for (size_t i = 0; i < count; ++i) {
    store(out + 4 * i, uint32_t{load<uint16_t>(in + 2 * i)} << 16);
  }
}
inline void f16_from_f32(const uint8_t* in, size_t count, uint8_t* out) {
  for (size_t i = 0; i < count; ++i) store(out + 2 * i, f16_of(load<uint32_t>(in + 4 * i)));
}
inline void f32_from_f16(const uint8_t* in, size_t count, uint8_t* out) {
  for (size_t i = 0; i < count; ++i) store(out + 4 * i, f32_of_f16(load<uint16_t>(in + 2 * i)));
}

/// Calls with an item type: a zero of 1, 2, 4 or 8 bytes.
template <class Call>
[[gnu::always_inline]] inline auto with_item_type(unsigned item_bytes, const Call& call) {
  switch (item_bytes) {
    case 8:
      return call(uint64_t{});
    case 4:
      return call(uint32_t{});
    case 2:
      return call(uint16_t{});
    default:
      return call(uint8_t{});
  }
}

/// The same of floats that have a size.
template <class Call>
[[gnu::always_inline]] inline void with_float_type(unsigned item_bytes, const Call& call) {
  switch (item_bytes) {
    case 8:
      return call(uint64_t{});
    case 4:
      return call(uint32_t{});
    default:
      return call(uint16_t{});
  }
}

}  // namespace
}  // namespace cairn
