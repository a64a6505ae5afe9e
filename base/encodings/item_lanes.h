// Many items at a time, in vectors of N bytes: word for word what base/encodings/item_scalar.h
// does, written with the vector extensions of GCC and Clang. A file that instantiates it is
// compiled for one instruction set and includes nothing else. Everything is in an anonymous
// namespace, and nothing of the standard library but memcpy is called: code compiled for a wide
// machine must never be what the linker keeps for all.
#pragma once

#include <utility>

#include "base/encodings/item_find.h"
#include "base/encodings/item_scalar.h"
#include "base/encodings/item_squeeze.h"

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set, see above

#define CAIRN_INLINE [[gnu::always_inline]] inline

template <size_t kBytes>
struct SignedOf;
template <>
struct SignedOf<1> {
  using Type = int8_t;
};
template <>
struct SignedOf<2> {
  using Type = int16_t;
};
template <>
struct SignedOf<4> {
  using Type = int32_t;
};
template <>
struct SignedOf<8> {
  using Type = int64_t;
};

/// A vector of N bytes as items of type U, and how vectors are dealt and zipped.
template <class U, size_t N>
struct VectorOfItems {
  typedef U Type __attribute__((vector_size(N)));
  typedef typename SignedOf<sizeof(U)>::Type Signed __attribute__((vector_size(N)));
  static constexpr size_t kCount = N / sizeof(U);
  using Indices = decltype(std::make_index_sequence<kCount>());

  template <size_t... i>
  CAIRN_INLINE static Type even(Type a, Type b, std::index_sequence<i...>) {
    return __builtin_shufflevector(a, b, (2 * i)...);
  }
  template <size_t... i>
  CAIRN_INLINE static Type odd(Type a, Type b, std::index_sequence<i...>) {
    return __builtin_shufflevector(a, b, (2 * i + 1)...);
  }
  template <size_t kFrom, size_t... i>
  CAIRN_INLINE static Type zip(Type a, Type b, std::index_sequence<i...>) {
    return __builtin_shufflevector(a, b, (kFrom + i / 2 + i % 2 * kCount)...);
  }
  CAIRN_INLINE static Type even(Type a, Type b) { return even(a, b, Indices()); }
  CAIRN_INLINE static Type odd(Type a, Type b) { return odd(a, b, Indices()); }
  CAIRN_INLINE static Type zip_low(Type a, Type b) { return zip<0>(a, b, Indices()); }
  CAIRN_INLINE static Type zip_high(Type a, Type b) { return zip<kCount / 2>(a, b, Indices()); }
};

template <class U, size_t N>
struct Lanes {
  using Of = VectorOfItems<U, N>;
  using V = typename Of::Type;
  using S = typename Of::Signed;
  using OfBytes = VectorOfItems<uint8_t, N>;
  using B = typename OfBytes::Type;
  using OfWords = VectorOfItems<uint32_t, N>;
  using W = typename OfWords::Type;
  static constexpr size_t kWidth = sizeof(U);
  static constexpr U kTopBit = static_cast<U>(U{1} << (8 * sizeof(U) - 1));

  template <bool kIsFloat>
  CAIRN_INLINE static V rank(V u) {
    if constexpr (!kIsFloat) return u;
    return u ^ ((V)((S)u < 0) | kTopBit);
  }
  template <bool kIsFloat>
  CAIRN_INLINE static V of_rank(V rank) {
    if constexpr (!kIsFloat) return rank;
    return rank ^ ((V)((S)rank >= 0) | kTopBit);
  }

  CAIRN_INLINE static size_t sum(V lanes) {
    size_t total = 0;
    for (size_t i = 0; i < Of::kCount; ++i) total += lanes[i];
    return total;
  }

  template <bool kIsFloat>
  static void subtract(const uint8_t* items, const uint8_t* prediction, size_t count,
                       uint8_t* residuals, ResidualCounts& counts) {
    constexpr size_t kStepsMost = sizeof(U) == 1 ? 255 : 32768;  // before a lane's count overflows
    size_t at = 0, steps = count / Of::kCount;
    V bits{};
    while (steps > 0) {
      V zeros{}, ones{}, twos{};
      const size_t end = at + (steps < kStepsMost ? steps : kStepsMost) * N;
      steps -= (end - at) / N;
      for (; at < end; at += N) {
        const V d = rank<kIsFloat>(load<V>(items + at)) - rank<kIsFloat>(load<V>(prediction + at));
        const V z = (d + d) ^ (V)((S)d < 0);
        store(residuals + at, z);
        zeros -= (V)(z == 0);
        ones -= (V)(z == 1);
        twos -= (V)(z == 2);
        bits |= z;
      }
      counts.zeros += sum(zeros);
      counts.ones += sum(ones);
      counts.twos += sum(twos);
    }
    for (size_t i = 0; i < Of::kCount; ++i) counts.bits |= bits[i];
    Scalar<U>::template subtract<kIsFloat>(items + at, prediction + at, count % Of::kCount,
                                           residuals + at, counts);
  }

  template <bool kIsFloat>
  static void correct(const uint8_t* residuals, size_t count, uint8_t* items) {
    size_t at = 0;
    for (; at < count / Of::kCount * N; at += N) {
      const V z = load<V>(residuals + at);
      const V d = (z >> 1) ^ (V{} - (z & 1));
      store(items + at, of_rank<kIsFloat>(rank<kIsFloat>(load<V>(items + at)) + d));
    }
    Scalar<U>::template correct<kIsFloat>(residuals + at, count % Of::kCount, items + at);
  }

  /// Byte p of kCount items (in as many vectors) goes to vector p * kStride.
  template <size_t kCount, size_t kStride>
  CAIRN_INLINE static void deal(const B* in, B* out) {
    if constexpr (kCount == 1) {
      out[0] = in[0];
    } else {
      B even[kCount / 2], odd[kCount / 2];
#pragma GCC unroll 8
      for (size_t i = 0; i < kCount / 2; ++i) {
        even[i] = OfBytes::even(in[2 * i], in[2 * i + 1]);
        odd[i] = OfBytes::odd(in[2 * i], in[2 * i + 1]);
      }
      deal<kCount / 2, 2 * kStride>(even, out);
      deal<kCount / 2, 2 * kStride>(odd, out + kStride);
    }
  }
  template <size_t kCount, size_t kStride>
  CAIRN_INLINE static void gather(const B* in, B* out) {
    if constexpr (kCount == 1) {
      out[0] = in[0];
    } else {
      B even[kCount / 2], odd[kCount / 2];
      gather<kCount / 2, 2 * kStride>(in, even);
      gather<kCount / 2, 2 * kStride>(in + kStride, odd);
#pragma GCC unroll 8
      for (size_t i = 0; i < kCount / 2; ++i) {
        out[2 * i] = OfBytes::zip_low(even[i], odd[i]);
        out[2 * i + 1] = OfBytes::zip_high(even[i], odd[i]);
      }
    }
  }

  static void split(const uint8_t* items, size_t count, uint8_t* planes, size_t stride) {
    size_t i = 0;
    for (; i + N <= count; i += N) {
      B in[kWidth], out[kWidth];
#pragma GCC unroll 8
      for (size_t k = 0; k < kWidth; ++k) in[k] = load<B>(items + i * kWidth + k * N);
      deal<kWidth, 1>(in, out);
#pragma GCC unroll 8
      for (size_t k = 0; k < kWidth; ++k) store(planes + k * stride + i, out[k]);
    }
    Scalar<U>::split(items + i * kWidth, count - i, planes + i, stride);
  }
  static void join(const uint8_t* const* planes, size_t count, uint8_t* items) {
    size_t i = 0;
    for (; i + N <= count; i += N) {
      B in[kWidth], out[kWidth];
#pragma GCC unroll 8
      for (size_t k = 0; k < kWidth; ++k) in[k] = load<B>(planes[k] + i);
      gather<kWidth, 1>(in, out);
#pragma GCC unroll 8
      for (size_t k = 0; k < kWidth; ++k) store(items + i * kWidth + k * N, out[k]);
    }
    Scalar<U>::join(planes, i, count - i, items + i * kWidth);
  }

  /// The low bytes of kCount vectors of items of kCount bytes.
  template <size_t kCount>
  CAIRN_INLINE static B narrow(const B* in) {
    if constexpr (kCount == 1) {
      return in[0];
    } else {
      B even[kCount / 2];
#pragma GCC unroll 8
      for (size_t i = 0; i < kCount / 2; ++i) even[i] = OfBytes::even(in[2 * i], in[2 * i + 1]);
      return narrow<kCount / 2>(even);
    }
  }
  template <size_t kCount>
  CAIRN_INLINE static void widen(B bytes, B* out) {
    if constexpr (kCount == 1) {
      out[0] = bytes;
    } else {
      const B low = OfBytes::zip_low(bytes, B{}), high = OfBytes::zip_high(bytes, B{});
      if constexpr (kCount == 2) {
        out[0] = low;
        out[1] = high;
      } else {
        widen_twice<kCount>(low, high, out);
      }
    }
  }
  /// Items of 2 bytes become items of kCount bytes.
  template <size_t kCount>
  CAIRN_INLINE static void widen_twice(B low, B high, B* out) {
    using Halves = VectorOfItems<uint16_t, N>;
    using H = typename Halves::Type;
    B words[4] = {(B)Halves::zip_low((H)low, H{}), (B)Halves::zip_high((H)low, H{}),
                  (B)Halves::zip_low((H)high, H{}), (B)Halves::zip_high((H)high, H{})};
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
      if constexpr (kCount == 4) {
        out[i] = words[i];
      } else {
        out[2 * i] = (B)OfWords::zip_low((W)words[i], W{});
        out[2 * i + 1] = (B)OfWords::zip_high((W)words[i], W{});
      }
    }
  }

  static size_t pack_quads(const uint8_t* residuals, size_t count, uint8_t* quads,
                           uint8_t* larger) {
    size_t i = 0;
    for (; i + 4 * N <= count; i += 4 * N) {
      B packed[4];
#pragma GCC unroll 4
      for (size_t k = 0; k < 4; ++k) {
        B in[kWidth];
#pragma GCC unroll 8
        for (size_t j = 0; j < kWidth; ++j) {
          const V z = load<V>(residuals + (i + k * N) * kWidth + j * N);
          in[j] = (B)(z < 3 ? z : V{} + 3);
        }
        const W four = (W)narrow<kWidth>(in);  // items, a byte each, in a word
        packed[k] = (B)((four | four >> 6 | four >> 12 | four >> 18) & 0xff);
      }
      store(quads + i / 4, narrow<4>(packed));
    }
    const size_t found = squeeze<U>(residuals, i, larger);
    return found + Scalar<U>::pack_quads(residuals + i * kWidth, count - i, quads + i / 4,
                                         larger + found * kWidth);
  }

  static void unpack_quads(const uint8_t* quads, size_t count, const uint8_t* larger,
                           uint8_t* residuals) {
    size_t i = 0;
    for (; i + 4 * N <= count; i += 4 * N) {
      B words[4];
      const B packed = load<B>(quads + i / 4);
      const B low = OfBytes::zip_low(packed, B{}), high = OfBytes::zip_high(packed, B{});
      widen_twice<4>(low, high, words);
#pragma GCC unroll 4
      for (size_t k = 0; k < 4; ++k) {
        const W four = (W)words[k];
        B out[kWidth];
        widen<kWidth>((B)((four | four << 6 | four << 12 | four << 18) & 0x03030303), out);
#pragma GCC unroll 8
        for (size_t j = 0; j < kWidth; ++j) {
          store(residuals + (i + k * N) * kWidth + j * N, out[j]);
        }
      }
    }
    const size_t taken = stretch<U>(residuals, i, larger);
    Scalar<U>::unpack_quads(quads + i / 4, count - i, larger + taken * kWidth,
                            residuals + i * kWidth);
  }

  static size_t find_others(const uint8_t* items, size_t count, U common, uint16_t* numbers) {
    size_t found = 0, i = 0;
#if defined(__AVX2__)
    for (; i + 64 <= count; i += 64) {
      const uint8_t* const from = items + i * kWidth;
      const uint64_t alike = uint64_t{alike_of_32(from, common)} |
                             uint64_t{alike_of_32(from + 32 * kWidth, common)} << 32;
      found += append_numbers(i, ~alike, numbers + found);
    }
#endif
    return found + Scalar<U>::find_others(items, i, count, common, numbers + found);
  }

  static B sizes_of(const uint8_t* items) {
    B in[kWidth];
#pragma GCC unroll 8
    for (size_t k = 0; k < kWidth; ++k) {
      in[k] = (B)(load<V>(items + k * N) >> static_cast<U>(8 * kWidth - 9));
    }
    return narrow<kWidth>(in);
  }
#if defined(__AVX2__)
  /// Whole words; returns how many items these have.
  template <unsigned kClasses>
  static size_t mark_words(const uint8_t* items, size_t count, const uint8_t* least,
                           ClassMarks& marks) {
    B bounds[kClasses - 1];
    uint32_t before[kClasses] = {};
    for (unsigned number = 0; number < kClasses; ++number) marks.before[number][0] = 0;
#pragma GCC unroll 4
    for (unsigned number = 0; number + 1 < kClasses; ++number) {
      bounds[number] = (B)_mm256_set1_epi8(static_cast<char>(least[number]));
    }
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
      const B low = sizes_of(items + i * kWidth), high = sizes_of(items + (i + 32) * kWidth);
      uint64_t larger = 0;
#pragma GCC unroll 4
      for (unsigned number = 0; number < kClasses; ++number) {
        uint64_t up_to_here = ~uint64_t{0};
        if (number + 1 < kClasses) {
          up_to_here = bits_of_32((__m256i)(low >= bounds[number])) |
                       bits_of_32((__m256i)(high >= bounds[number])) << 32;
        }
        const uint64_t bits = up_to_here & ~larger;
        marks.words[number][i / 64] = bits;
        before[number] += static_cast<uint32_t>(__builtin_popcountll(bits));
        marks.before[number][i / 64 + 1] = before[number];
        larger = up_to_here;
      }
    }
    return i;
  }
#endif

  static void mark_classes(const uint8_t* items, size_t count, const uint8_t* least,
                           unsigned classes, ClassMarks& marks) {
    size_t i = 0;
#if defined(__AVX2__)
    switch (classes) {
      case 2:
        i = mark_words<2>(items, count, least, marks);
        break;
      case 3:
        i = mark_words<3>(items, count, least, marks);
        break;
      default:
        i = mark_words<kSizeClassesMost>(items, count, least, marks);
        break;
    }
#endif
    Scalar<U>::mark_classes(items, i, count, least, classes, marks);
  }
};

}  // namespace
}  // namespace cairn
