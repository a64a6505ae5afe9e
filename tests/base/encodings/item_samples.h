// Items and predictions of every kind that encodings may meet.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/encodings/item_form.h"

namespace cairn {

inline Bytes random_bytes(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

/// How items differ from their prediction.
struct Difference {
  const char* name;
  double share;      ///< of the items that differ
  uint64_t most;     ///< by how much, 0: anything
  bool one = false;  ///< only one item
};

inline constexpr Difference kDifferences[] = {
    {"none", 0, 1},           {"one", 0, 5, true},       {"0.1 %", 0.001, 3},
    {"1 %", 0.01, 2},         {"1 % anything", 0.01, 0}, {"5 %", 0.05, 4},
    {"30 %", 0.3, 3},         {"30 % by one", 0.3, 1},   {"dense small", 0.9, 20},
    {"dense large", 1, 5000}, {"random", 1, 0},
};

/// A prediction of `count` items, floats with all that is special about them.
inline Bytes make_prediction(size_t count, ItemForm form, uint32_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, 0.02f);
  Bytes items(count * form.bytes);
  for (size_t i = 0; i < count; ++i) {
    uint64_t item = random();
    if (form.is_float && i % 3 != 0) {
      const uint64_t bits = uint64_t{std::bit_cast<uint32_t>(normal(random))} << 32;
      item = bits >> (64 - 8 * form.bytes);
      // NaNs with payloads, infinities, denormals, zeros of both signs.
      static constexpr uint64_t kSpecial[] = {0x7fc1 << 16,
                                              0x7f80 << 16,
                                              uint64_t{0xff80} << 16,
                                              1,
                                              0,
                                              uint64_t{1} << 31,
                                              uint64_t{0xffffffff},
                                              0x7fffffff,
                                              0x007fffff};
      if (i % 50 == 1)
        item = (kSpecial[i / 50 % std::size(kSpecial)] << 32) >> (64 - 8 * form.bytes);
    }
    std::memcpy(items.data() + i * form.bytes, &item, form.bytes);
  }
  return items;
}

/// The prediction with differences.
inline Bytes make_items(const Bytes& prediction, ItemForm form, const Difference& difference,
                        uint32_t seed) {
  std::mt19937_64 random(seed);
  Bytes items = prediction;
  const size_t count = items.size() / form.bytes;
  const auto change = [&](size_t i) {
    uint64_t item = 0;
    std::memcpy(&item, items.data() + i * form.bytes, form.bytes);
    uint64_t by = random();
    if (difference.most > 0) {
      by = by % difference.most + 1;
      if (random() % 2 == 0) by = -by;
    }
    item += by;
    std::memcpy(items.data() + i * form.bytes, &item, form.bytes);
  };
  if (difference.one && count > 0) change(random() % count);
  std::uniform_real_distribution<double> dice(0, 1);
  for (size_t i = 0; i < count && difference.share > 0; ++i) {
    if (dice(random) < difference.share) change(i);
  }
  return items;
}

inline constexpr ItemForm kItemForms[] = {{1, false}, {2, false}, {4, false}, {8, false},
                                          {1, true},  {2, true},  {4, true},  {8, true}};

inline std::string form_name(ItemForm form) {
  return (form.is_float ? "float" : "int") + std::to_string(8 * form.bytes);
}

}  // namespace cairn
