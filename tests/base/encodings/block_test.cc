#include "base/encodings/block.h"

#include <gtest/gtest.h>

#include "base/encodings/bits.h"
#include "base/encodings/item_kernel.h"
#include "tests/base/encodings/item_samples.h"

namespace cairn {
namespace {

constexpr Effort kEfforts[] = {Effort::kFast, Effort::kBalanced, Effort::kSmall};
constexpr size_t kCounts[] = {1, 2, 3, 4, 5, 8, 31, 100, 255, 256, 257, 300, 5000, 65535, 65536};

struct Block {
  BlockForm form{};
  Bytes stored;
};

Block residuals_of(const Bytes& items, const Bytes& prediction, ItemForm form, Effort effort) {
  Block block;
  block.form = append_residuals(items, prediction, form, effort, block.stored);
  return block;
}

/// What the block makes of the prediction; an error when it is not used up.
Result<Bytes> corrected(const Bytes& stored, const Bytes& prediction, ItemForm form,
                        BlockForm* form_met = nullptr) {
  Bytes items = prediction;
  ByteSpan rest = stored;
  BlockForm met{};
  CAIRN_CHECK(correct_items(rest, form, items, met));
  if (form_met != nullptr) *form_met = met;
  if (!rest.empty()) return fail(Code::kBug, "bytes are left");
  return items;
}

TEST(Block, ResidualsComeBackFromEveryKernel) {
  for (const ItemForm form : kItemForms) {
    for (const size_t count : kCounts) {
      const Bytes prediction = make_prediction(count, form, 1);
      for (const Difference& difference : kDifferences) {
        SCOPED_TRACE(form_name(form) + ", " + std::to_string(count) + ", " + difference.name);
        const Bytes items = make_items(prediction, form, difference, 2);
        for (const Effort effort : kEfforts) {
          if (effort == Effort::kSmall && count > 5000 && form.bytes > 2) continue;  // slow
          use_item_kernel(&kItemsPortable);
          const Block block = residuals_of(items, prediction, form, effort);
          ASSERT_LE(block.stored.size(), 1 + form.bytes * (count + 1)) << "plain planes";
          BlockForm met{};
          ASSERT_EQ(corrected(block.stored, prediction, form, &met).value(), items);
          ASSERT_EQ(met, block.form);
          use_item_kernel(nullptr);
          ASSERT_EQ(residuals_of(items, prediction, form, effort).stored, block.stored);
          ASSERT_EQ(corrected(block.stored, prediction, form).value(), items);
        }
      }
    }
  }
}

TEST(Block, ItemsComeBack) {
  for (const ItemForm form : kItemForms) {
    for (const size_t count : kCounts) {
      for (const Bytes& items : {make_prediction(count, form, 1), Bytes(count * form.bytes, 0),
                                 Bytes(count * form.bytes, 3)}) {
        Bytes stored;
        const BlockForm block = append_items(items, form.bytes, Effort::kBalanced, stored);
        EXPECT_EQ(block,
                  items.back() == 0 && items[0] == 0 && count > 9 ? BlockForm::kSame : block);
        ASSERT_LE(stored.size(), 1 + form.bytes * (count + 1));
        ByteSpan rest = stored;
        Bytes out(items.size(), 0xee);
        ASSERT_TRUE(read_items(rest, form.bytes, out));
        ASSERT_TRUE(rest.empty());
        ASSERT_EQ(out, items);
      }
    }
  }
}

/// Every form is allowed for items too, though none but two are written.
TEST(Block, ItemsOfAllFormsAreRead) {
  const ItemForm form = {4, false};
  const Bytes zeros(4 * 5000, 0);
  for (const Difference& difference : kDifferences) {
    const Bytes values = make_items(zeros, form, difference, 3);
    const Block block = residuals_of(values, zeros, form, Effort::kBalanced);
    Bytes residuals(values.size());
    item_kernel().subtract(values.data(), zeros.data(), 5000, 4, false, residuals.data());
    ByteSpan rest = block.stored;
    Bytes out(values.size(), 0xee);
    ASSERT_TRUE(read_items(rest, 4, out));
    EXPECT_EQ(out, residuals) << difference.name;
  }
}

TEST(Block, TheFormFitsWhatDiffers) {
  const ItemForm bf16 = {2, true};
  const Bytes prediction = make_prediction(kBlockItems, bf16, 1);
  const auto form_of = [&](const Difference& difference) {
    return residuals_of(make_items(prediction, bf16, difference, 2), prediction, bf16,
                        Effort::kBalanced)
        .form;
  };
  EXPECT_EQ(form_of({"", 0, 1}), BlockForm::kSame);
  EXPECT_EQ(form_of({"", 0, 1, true}), BlockForm::kBits);
  EXPECT_EQ(form_of({"", 0.002, 1}), BlockForm::kBits);
  EXPECT_EQ(form_of({"", 0.01, 2}), BlockForm::kBits);
  EXPECT_EQ(form_of({"", 0.4, 2}), BlockForm::kQuads);
  EXPECT_EQ(form_of({"", 1, 100}), BlockForm::kPlanes);
  EXPECT_EQ(form_of({"", 1, 0}), BlockForm::kPlanes);
}

/// What bits take is known: they are taken where they are smaller than what was estimated, and not
/// where tables pay, as of items that are large and alike.
TEST(Block, BitsAreTakenWhereTheyAreSmaller) {
  const ItemForm form = {4, false};
  const Bytes prediction(kBlockItems * form.bytes, 0);
  Bytes items = prediction;
  for (size_t i = 0; i < kBlockItems; i += 25) items[i * form.bytes + 2] = 1;
  EXPECT_EQ(residuals_of(items, prediction, form, Effort::kBalanced).form, BlockForm::kGaps);
  for (const Difference& difference : kDifferences) {
    items = make_items(prediction, form, difference, 2);
    if (items == prediction) continue;
    for (const Effort effort : kEfforts) {
      const Block block = residuals_of(items, prediction, form, effort);
      Bytes residuals(items.size());
      item_kernel().subtract(items.data(), prediction.data(), kBlockItems, form.bytes,
                             form.is_float, residuals.data());
      if (difference.share > 0.1) continue;
      EXPECT_LE(block.stored.size(), 1 + plan_bits(residuals, prediction, form).bytes());
    }
  }
}

TEST(Block, SizesAreCloseToTheEntropy) {
  const ItemForm form = {2, false};
  const Bytes prediction = make_prediction(kBlockItems, form, 1);
  const auto bytes_of = [&](const Difference& difference) {
    return residuals_of(make_items(prediction, form, difference, 2), prediction, form,
                        Effort::kBalanced)
        .stored.size();
  };
  // One bit for the sign, and where: 65536 H(share) / 8.
  EXPECT_LT(bytes_of({"", 0.01, 1}), (0.0808 + 0.01) * 8192 * 1.1 + 100);
  EXPECT_LT(bytes_of({"", 0.05, 1}), (0.2864 + 0.05) * 8192 * 1.1 + 100);
  EXPECT_LT(bytes_of({"", 0.40, 1}), (0.9710 + 0.40) * 8192 * 1.1 + 100);
}

// Worked by hand from docs/FORMAT.md, section 7.2.
TEST(Block, BytesOfSameAndPlanes) {
  EXPECT_EQ(residuals_of({5, 6}, {5, 6}, {2, true}, Effort::kBalanced).stored, (Bytes{0}));
  Bytes stored;
  append_items(Bytes{2, 1, 4, 3, 2, 1}, 2, Effort::kBalanced, stored);
  EXPECT_EQ(stored, (Bytes{1, 1, 2, 4, 2, 1, 1, 3, 1}));
  // Residuals of 10, 20, 30 to 11, 20, 33: -1, 0, -3; the higher plane is constant.
  const Bytes items = {10, 0, 20, 0, 30, 0}, prediction = {11, 0, 20, 0, 33, 0};
  const Bytes planes = {1, 1, 1, 0, 5, 0, 0};
  EXPECT_EQ(corrected(planes, prediction, {2, false}).value(), items);
}

TEST(Block, BytesOfQuads) {
  // Residuals 0, 1, 2, 5, 3 are 0, -1, 1, -3, -2.
  const Bytes prediction = {10, 0, 20, 0, 30, 0, 40, 0, 50, 0};
  const Bytes items = {10, 0, 19, 0, 31, 0, 37, 0, 48, 0};
  const Bytes stored = {2,              // quads
                        1, 0xe4, 0x03,  // plain: 0, 1, 2, 3 | 3
                        1, 2,    0,     // 5 - 3, 3 - 3
                        0, 0};          // the higher plane
  EXPECT_EQ(corrected(stored, prediction, {2, false}).value(), items);
  const Bytes none_larger = {2, 1, 0x24, 0x00};
  EXPECT_EQ(corrected(none_larger, prediction, {2, false}).value(),
            (Bytes{10, 0, 19, 0, 31, 0, 40, 0, 50, 0}));
  const Bytes beyond = {2, 1, 0x24, 0x04};
  EXPECT_EQ(corrected(beyond, prediction, {2, false}).error().code, Code::kCorrupt);
}

TEST(Block, BytesOfGaps) {
  Bytes prediction(300, 7), items = prediction;
  items[2] = 6;                                   // residual 1
  items[299] = 9;                                 // residual 4, after 296 zeros
  const Bytes stored = {3,                        // gaps
                        2, 0, 0,   0,             // items
                        3, 0, 0,   0,             // bytes of gaps
                        1, 2, 255, 41, 1, 0, 3};  // residuals less 1
  EXPECT_EQ(corrected(stored, prediction, {1, false}).value(), items);
  struct Change {
    size_t at;
    uint8_t value;
  };
  for (const Change& change : {Change{1, 0},
                               {1, 1},
                               {1, 3},
                               {4, 1},
                               {5, 2},
                               {5, 4},
                               {8, 1},
                               {10, 3},
                               {11, 254},
                               {12, 42},
                               {12, 255},
                               {10, 255}}) {
    Bytes changed = stored;
    changed[change.at] = change.value;
    EXPECT_FALSE(corrected(changed, prediction, {1, false})) << change.at;
  }
}

TEST(Block, DamageIsSeenOrDecodesToOtherBytes) {
  for (const ItemForm form : {ItemForm{1, false}, ItemForm{2, true}, ItemForm{4, true}}) {
    const Bytes prediction = make_prediction(700, form, 1);
    for (const Difference& difference : kDifferences) {
      const Bytes items = make_items(prediction, form, difference, 2);
      const Bytes stored = residuals_of(items, prediction, form, Effort::kBalanced).stored;
      for (size_t length = 0; length < stored.size(); ++length) {
        const Bytes cut(stored.begin(), stored.begin() + static_cast<ptrdiff_t>(length));
        ASSERT_EQ(corrected(cut, prediction, form).error().code, Code::kCorrupt) << length;
      }
      for (size_t at = 0; at < stored.size(); ++at) {
        for (const uint8_t flip : {0x01, 0x02, 0x40, 0xff}) {
          Bytes changed = stored;
          changed[at] ^= flip;
          (void)corrected(changed, prediction, form).has_value();
          ByteSpan rest = changed;
          Bytes out(items.size());
          (void)read_items(rest, form.bytes, out).has_value();
        }
      }
    }
  }
}

TEST(Block, NoiseIsNoBlock) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    Bytes stored = random_bytes(random() % 200, static_cast<uint32_t>(round));
    if (!stored.empty()) stored[0] %= 5;
    if (stored.size() > 1 && random() % 2 == 0) stored[1] %= 3;
    const ItemForm form = kItemForms[random() % std::size(kItemForms)];
    Bytes items(form.bytes * (1 + random() % 100));
    ByteSpan rest = stored;
    BlockForm met{};
    (void)correct_items(rest, form, items, met).has_value();
    rest = stored;
    (void)read_items(rest, form.bytes, items).has_value();
  }
}

TEST(Block, FormsOfLaterVersionsAreCalledThat) {
  for (const int form : {5, 6, 255}) {
    const Bytes stored = {static_cast<uint8_t>(form), 0, 0};
    EXPECT_EQ(corrected(stored, {1, 2}, {1, false}).error().code, Code::kNewerFormat);
    ByteSpan rest = stored;
    Bytes out(2);
    EXPECT_EQ(read_items(rest, 1, out).error().code, Code::kNewerFormat);
  }
}

}  // namespace
}  // namespace cairn
