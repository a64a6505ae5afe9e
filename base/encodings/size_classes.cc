#include "base/encodings/size_classes.h"

#include <algorithm>

#include "base/encodings/block_scratch.h"
#include "base/encodings/entropy.h"
#include "base/encodings/item_scalar.h"

namespace cairn {

static constexpr size_t kSampleItems = 4096, kStripItems = 256;
/// Bounds tried as the largest, and what lies between two: two exponents of BF16 or F32, and of
/// F16.
static constexpr unsigned kTops = 8;
static constexpr unsigned kSteps[] = {2, 16};
/// Larger items than this share of all are one class, however they change.
static constexpr uint32_t kLargeOneIn = 16;

namespace {

/// How many items, and how many that change, are of at least a size.
struct SizeCounts {
  std::array<uint32_t, 257> items{}, changed{};
};

template <class U>
[[gnu::always_inline]] inline unsigned size_of(const uint8_t* item) {
  return static_cast<unsigned>(load<U>(item) >> (8 * sizeof(U) - 9) & 0xff);
}

template <class U>
SizeCounts count_sizes(ByteSpan prediction, std::span<const uint16_t> changed) {
  SizeCounts counts;
  for (const size_t number : changed) {
    ++counts.changed[size_of<U>(prediction.data() + number * sizeof(U))];
  }
  const size_t count = prediction.size() / sizeof(U);
  const bool is_whole = count <= 2 * kSampleItems;
  const size_t strip = is_whole ? count : kStripItems;
  const size_t strips = is_whole ? 1 : kSampleItems / kStripItems;
  for (size_t i = 0; i < strips; ++i) {
    const size_t first = is_whole ? 0 : i * ((count - strip) / (strips - 1));
    for (size_t at = first; at < first + strip; ++at) {
      ++counts.items[size_of<U>(prediction.data() + at * sizeof(U))];
    }
  }
  const uint64_t sampled = strip * strips;
  for (size_t size = 256; size-- > 0;) {
    const auto items = static_cast<uint32_t>(counts.items[size] * count / sampled);
    counts.items[size] = counts.items[size + 1] + std::max(items, counts.changed[size]);
    counts.changed[size] += counts.changed[size + 1];
  }
  return counts;
}

/// What the changes of the sizes from `first` up to `end` take, in units of 1/kBit bits.
uint64_t bits_of_class(const SizeCounts& counts, unsigned first, unsigned end) {
  const uint32_t items = counts.items[first] - counts.items[end];
  const uint32_t changed = counts.changed[first] - counts.changed[end];
  if (changed == 0) return kBit;
  const std::array<uint32_t, 2> parts = {changed, items - changed};
  const uint64_t header = 2 * static_cast<uint64_t>(std::bit_width(changed)) + 5;
  return header * kBit + std::max<uint64_t>(entropy_bits(parts, items), changed * kBit);
}

}  // namespace

SizeClasses choose_size_classes(ByteSpan prediction, unsigned item_bytes,
                                std::span<const uint16_t> changed) {
  SizeCounts counts;
  with_float_type(item_bytes,
                  [&](auto item) { counts = count_sizes<decltype(item)>(prediction, changed); });
  unsigned largest = 255;
  while (largest > 0 && counts.items[largest] * kLargeOneIn < counts.items[0]) --largest;

  SizeClasses best;
  uint64_t best_bits = bits_of_class(counts, 0, 256);
  best_bits -= best_bits / 32;  // less gain is not worth the time
  for (const unsigned step : kSteps) {
    for (unsigned i = 0; i < kTops && i * step / 2 <= largest; ++i) {
      const unsigned top = largest - i * step / 2;
      uint64_t above = 2 * 8 * kBit + bits_of_class(counts, top, 256);
      unsigned least = top;
      for (unsigned classes = 2;; ++classes) {
        const uint64_t bits = above + bits_of_class(counts, 0, least);
        if (bits < best_bits) {
          best = {classes, top, step};
          best_bits = bits;
        }
        if (classes == kSizeClassesMost || least < step) break;
        above += bits_of_class(counts, least - step, least);
        least -= step;
      }
    }
  }
  return best;
}

const ClassMarks& mark_classes(const SizeClasses& classes, ByteSpan prediction,
                               unsigned item_bytes) {
  ClassMarks& marks = block_scratch().marks;
  item_kernel().mark_classes(prediction.data(), prediction.size() / item_bytes, item_bytes,
                             classes.bounds().data(), classes.count, marks);
  return marks;
}

}  // namespace cairn
