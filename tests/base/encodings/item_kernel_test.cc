#include "base/encodings/item_kernel.h"

#include <gtest/gtest.h>

#include <array>

#include "base/encodings/item_kernel_lanes.h"
#include "tests/base/encodings/item_samples.h"

namespace cairn {
namespace {

// The template of wide kernels in narrow instructions: its logic is tested on any machine.
constexpr ItemKernel kSixteenBytes = KernelOfLanes<16>::named("narrow16");
constexpr ItemKernel kThirtyTwoBytes = KernelOfLanes<32>::named("narrow32");

constexpr size_t kCounts[] = {1,  2,  3,   4,   5,   7,   15,  16,  31,
                              33, 64, 100, 127, 128, 129, 255, 300, 8229};

std::vector<const ItemKernel*> kernels() {
  std::vector<const ItemKernel*> all = {&kSixteenBytes, &kThirtyTwoBytes};
  use_item_kernel(nullptr);
  all.push_back(&item_kernel());
  return all;
}

/// Calls with every form, count and difference; `items` may lie at odd addresses.
template <class Call>
void for_each_sample(const Call& call) {
  for (const ItemForm form : kItemForms) {
    for (const size_t count : kCounts) {
      const Bytes prediction = make_prediction(count, form, 1);
      for (const Difference& difference : kDifferences) {
        const Bytes items = make_items(prediction, form, difference, 2);
        call(form, count, prediction, items);
        if (testing::Test::HasFailure()) {
          FAIL() << form_name(form) << ", " << count << " items, " << difference.name;
        }
      }
    }
  }
}

TEST(ItemKernel, ResidualsAreTheSame) {
  for (const ItemKernel* kernel : kernels()) {
    SCOPED_TRACE(kernel->name);
    for_each_sample([&](ItemForm form, size_t count, const Bytes& prediction, const Bytes& items) {
      Bytes expected(items.size()), met(items.size());
      const ResidualCounts counts = kItemsPortable.subtract(
          items.data(), prediction.data(), count, form.bytes, form.is_float, expected.data());
      const ResidualCounts met_counts = kernel->subtract(items.data(), prediction.data(), count,
                                                         form.bytes, form.is_float, met.data());
      ASSERT_EQ(met, expected);
      ASSERT_EQ(met_counts.zeros, counts.zeros);
      ASSERT_EQ(met_counts.ones, counts.ones);
      ASSERT_EQ(met_counts.twos, counts.twos);
      ASSERT_EQ(met_counts.bits, counts.bits);
      for (const ItemKernel* back : {&kItemsPortable, kernel}) {
        Bytes corrected = prediction;
        back->correct(met.data(), count, form.bytes, form.is_float, corrected.data());
        ASSERT_EQ(corrected, items);
      }
    });
  }
}

TEST(ItemKernel, PlanesAreTheSame) {
  for (const ItemKernel* kernel : kernels()) {
    SCOPED_TRACE(kernel->name);
    for_each_sample([&](ItemForm form, size_t count, const Bytes&, const Bytes& items) {
      if (form.bytes == 1) return;
      Bytes expected(items.size()), met(items.size()), joined(items.size());
      kItemsPortable.split(items.data(), count, form.bytes, expected.data(), count);
      kernel->split(items.data(), count, form.bytes, met.data(), count);
      ASSERT_EQ(met, expected);
      std::array<const uint8_t*, 8> planes{};
      for (size_t p = 0; p < form.bytes; ++p) planes[p] = met.data() + p * count;
      kernel->join(planes.data(), count, form.bytes, joined.data());
      ASSERT_EQ(joined, items);
    });
  }
}

TEST(ItemKernel, QuadsAreTheSame) {
  for (const ItemKernel* kernel : kernels()) {
    SCOPED_TRACE(kernel->name);
    for_each_sample([&](ItemForm form, size_t count, const Bytes& prediction, const Bytes& items) {
      Bytes residuals(items.size());
      kItemsPortable.subtract(items.data(), prediction.data(), count, form.bytes, form.is_float,
                              residuals.data());
      Bytes quads(ceil_div(count, 4)), met_quads(quads.size());
      Bytes larger(items.size() + kItemSlack), met_larger(larger.size());
      const size_t found = kItemsPortable.pack_quads(residuals.data(), count, form.bytes,
                                                     quads.data(), larger.data());
      ASSERT_EQ(kernel->pack_quads(residuals.data(), count, form.bytes, met_quads.data(),
                                   met_larger.data()),
                found);
      ASSERT_EQ(met_quads, quads);
      larger.resize(found * form.bytes);
      met_larger.resize(found * form.bytes);
      ASSERT_EQ(met_larger, larger);
      larger.resize(found * form.bytes + kItemSlack, 0xee);
      Bytes back(items.size());
      kItemsPortable.unpack_quads(quads.data(), count, form.bytes, larger.data(), back.data());
      ASSERT_EQ(back, residuals);
      Bytes met_back(items.size());
      kernel->unpack_quads(quads.data(), count, form.bytes, larger.data(), met_back.data());
      ASSERT_EQ(met_back, residuals);
    });
  }
}

TEST(ItemKernel, OthersAreFound) {
  for (const ItemKernel* kernel : kernels()) {
    SCOPED_TRACE(kernel->name);
    for_each_sample([&](ItemForm form, size_t count, const Bytes& prediction, const Bytes& items) {
      Bytes residuals(items.size());
      kItemsPortable.subtract(items.data(), prediction.data(), count, form.bytes, form.is_float,
                              residuals.data());
      for (const uint64_t common : {0, 1}) {
        std::vector<uint16_t> expected, met(count + kItemSlack);
        for (size_t i = 0; i < count; ++i) {
          uint64_t item = 0;
          std::memcpy(&item, residuals.data() + i * form.bytes, form.bytes);
          if (item != common) expected.push_back(static_cast<uint16_t>(i));
        }
        met.resize(kernel->find_others(residuals.data(), count, form.bytes, common, met.data()));
        ASSERT_EQ(met, expected);
        met.resize(count);
        met.resize(
            kItemsPortable.find_others(residuals.data(), count, form.bytes, common, met.data()));
        ASSERT_EQ(met, expected);
      }
    });
  }
}

TEST(ItemKernel, ItemsOfAClassAreFound) {
  static ClassMarks marks, expected;
  constexpr uint8_t kLeast[] = {124, 120, 0};
  for (const ItemKernel* kernel : kernels()) {
    SCOPED_TRACE(kernel->name);
    for_each_sample([&](ItemForm form, size_t count, const Bytes& items, const Bytes&) {
      if (form.bytes == 1 || count == 0) return;
      for (unsigned classes = 2; classes <= kSizeClassesMost; ++classes) {
        std::memset(&marks, 0xee, sizeof marks);
        kernel->mark_classes(items.data(), count, form.bytes, kLeast, classes, marks);
        kItemsPortable.mark_classes(items.data(), count, form.bytes, kLeast, classes, expected);
        size_t all = 0;
        for (unsigned number = 0; number < classes; ++number) {
          ASSERT_TRUE(std::equal(expected.words[number], expected.words[number] + count / 64,
                                 marks.words[number]));
          ASSERT_TRUE(std::equal(std::begin(expected.before[number]),
                                 std::begin(expected.before[number]) + 1025, marks.before[number]));
          std::vector<uint16_t> members, places;
          for (size_t i = 0; i < count; ++i) {
            uint64_t item = 0;
            std::memcpy(&item, items.data() + i * form.bytes, form.bytes);
            const uint64_t size = item >> (8 * form.bytes - 9) & 0xff;
            unsigned its = 0;
            while (its + 1 < classes && size < kLeast[its]) ++its;
            if (its == number) members.push_back(static_cast<uint16_t>(i));
          }
          for (size_t i = 0; i < members.size(); ++i) places.push_back(static_cast<uint16_t>(i));
          ASSERT_EQ(marks.before[number][1024], members.size());
          kernel->find_places(marks, number, places.data(), places.size(), places.data());
          ASSERT_EQ(places, members);
          all += members.size();
        }
        ASSERT_EQ(all, count);
      }
    });
  }
}

/// What docs/FORMAT.md says, by hand.
TEST(ItemKernel, ResidualsAreThoseOfTheFormat) {
  // Prediction, item, residual of BF16.
  struct Row {
    uint16_t prediction, item, residual;
  };
  constexpr Row kRows[] = {
      {0x3f80, 0x3f80, 0}, {0x3f80, 0x3f7f, 1}, {0x3f80, 0x3f81, 2},
      {0x3f80, 0x3f82, 4}, {0xbf80, 0xbf81, 1},                       // further from zero is lower
      {0xbf80, 0xbf7f, 2}, {0x0000, 0x8000, 1},                       // -0 is just below +0
      {0x8000, 0x0000, 2}, {0x8001, 0x0000, 4}, {0x7fff, 0xffff, 2},  // around the end
      {0xffff, 0x7fff, 1}};
  for (const Row& row : kRows) {
    Bytes prediction(2), item(2), residual(2);
    store_le(prediction, 0, row.prediction);
    store_le(item, 0, row.item);
    kItemsPortable.subtract(item.data(), prediction.data(), 1, 2, true, residual.data());
    EXPECT_EQ(load_le<uint16_t>(residual), row.residual) << row.prediction << " " << row.item;
  }
  const Bytes item = {255}, prediction = {0};
  Bytes residual(1);
  kItemsPortable.subtract(item.data(), prediction.data(), 1, 1, false, residual.data());
  EXPECT_EQ(residual[0], 1);
}

}  // namespace
}  // namespace cairn
