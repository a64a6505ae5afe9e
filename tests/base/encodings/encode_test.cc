#include "base/encodings/encode.h"

#include <gtest/gtest.h>

#include <set>

#include "base/encodings/item_kernel.h"
#include "base/random.h"
#include "tests/base/encodings/item_samples.h"

namespace cairn {
namespace {

constexpr size_t kCounts[] = {1, 77, 65536, 65537, 131072, 200001};
constexpr Effort kEfforts[] = {Effort::kFast, Effort::kBalanced};

Result<Bytes> decoded(const Encoded& encoded, std::vector<ByteSpan> bases, size_t bytes) {
  Bytes out(bytes, 0xee);
  CAIRN_CHECK(decode(encoded.encoding, encoded.parameters, encoded.stored, bases, out));
  return out;
}

TEST(Encode, PlanesComeBack) {
  for (const ItemForm form : kItemForms) {
    for (const size_t count : kCounts) {
      const Bytes items = make_prediction(count, form, 1);
      for (const Effort effort : kEfforts) {
        const Encoded encoded = encode_planes(items, form, effort);
        EXPECT_EQ(encoded.encoding, Encoding::kPlanes);
        EXPECT_EQ(encoded.parameters, Bytes{encode_item_form(form)});
        ASSERT_EQ(decoded(encoded, {}, items.size()).value(), items);
      }
    }
  }
}

/// The items, by way of their planes.
Result<Bytes> joined(const Encoded& encoded, size_t bytes) {
  Bytes planes(bytes, 0xee), items(bytes, 0xdd);
  CAIRN_CHECK(decode_to_planes(encoded.parameters, encoded.stored, planes));
  const auto form = decode_item_form(encoded.parameters.at(0));
  if (form->bytes == 1) return planes;
  join_planes(planes, form->bytes, items);
  return items;
}

TEST(Encode, PlanesAreLeftAsSplitMakesThem) {
  for (const ItemForm form : kItemForms) {
    if (form.bytes == 1) continue;
    for (const size_t count : kCounts) {
      const Bytes items = make_prediction(count, form, 1);
      Bytes expected(items.size()), planes(items.size(), 0xee);
      for (size_t at = 0; at < count; at += kBlockItems) {
        const size_t of_block = std::min(kBlockItems, count - at);
        item_kernel().split(items.data() + at * form.bytes, of_block, form.bytes,
                            expected.data() + at * form.bytes, of_block);
      }
      const Encoded encoded = encode_planes(items, form, Effort::kBalanced);
      ASSERT_TRUE(decode_to_planes(encoded.parameters, encoded.stored, planes));
      ASSERT_EQ(planes, expected) << form_name(form) << " " << count;
      ASSERT_EQ(joined(encoded, items.size()).value(), items);
    }
  }
}

/// Blocks of any form are planes of the items that they hold.
TEST(Encode, PlanesOfEveryFormOfABlock) {
  std::set<uint8_t> forms;
  for (const ItemForm form : kItemForms) {
    for (const Difference& difference : kDifferences) {
      const Bytes zeros(70001 * form.bytes);
      Encoded encoded = encode_delta(make_items(zeros, {form.bytes}, difference, 3), zeros,
                                     {form.bytes}, Effort::kBalanced);
      forms.insert(encoded.stored[0]);
      encoded.encoding = Encoding::kPlanes;
      ASSERT_EQ(joined(encoded, zeros.size()).value(), decoded(encoded, {}, zeros.size()).value())
          << form_name(form) << " " << difference.name;
    }
  }
  EXPECT_EQ(forms.size(), 5u);
}

/// Changes a few bytes, or leaves some out, or puts some in.
void damage(std::mt19937_64& random, Bytes& bytes) {
  for (uint64_t turns = 1 + random() % 3; turns > 0; --turns) {
    // Lengths and forms lie near the beginning of what is small.
    const size_t reach = random() % 2 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 16);
    const auto at = bytes.begin() + static_cast<ptrdiff_t>(random() % reach);
    const uint64_t way = random() % 8;
    if (way == 0 && bytes.size() > 1) {
      bytes.erase(at);
    } else if (way == 1) {
      bytes.insert(at, static_cast<uint8_t>(random()));
    } else if (way < 5) {
      *at = static_cast<uint8_t>(random() % 6);
    } else {
      *at ^= static_cast<uint8_t>(1u << random() % 8);
    }
  }
}

/// What is damage to one way of decoding is to the other, and what is not comes out the same.
TEST(Encode, DamagedPlanesAreDamagedEitherWay) {
  const uint64_t seed = seeded_random()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  size_t decoded_all = 0, damaged = 0;
  for (int turn = 0; turn < 20000; ++turn) {
    const ItemForm form = {kItemForms[random() % std::size(kItemForms)].bytes};
    const size_t count = random() % 100 == 0 ? kBlockItems + random() % 100 : 1 + random() % 300;
    const Bytes zeros(count * form.bytes);
    const Difference& difference = kDifferences[random() % std::size(kDifferences)];
    const Bytes items = make_items(zeros, form, difference, static_cast<uint32_t>(random()));
    Encoded encoded = random() % 2 == 0 ? encode_planes(items, form, Effort::kBalanced)
                                        : encode_delta(items, zeros, form, Effort::kBalanced);
    encoded.encoding = Encoding::kPlanes;
    damage(random, encoded.stored);
    const auto one = decoded(encoded, {}, items.size()), other = joined(encoded, items.size());
    ASSERT_EQ(one.has_value(), other.has_value());
    (one ? decoded_all : damaged) += 1;
    if (one) {
      ASSERT_EQ(*one, *other);
    } else {
      ASSERT_EQ(one.error().code, other.error().code);
      ASSERT_EQ(one.error().message, other.error().message);
    }
  }
  EXPECT_GT(decoded_all, 1000u);
  EXPECT_GT(damaged, 1000u);
}

TEST(Encode, DeltasComeBack) {
  for (const ItemForm form : kItemForms) {
    for (const size_t count : kCounts) {
      const Bytes base = make_prediction(count, form, 1);
      for (const Difference& difference : kDifferences) {
        const Bytes items = make_items(base, form, difference, 2);
        const Encoded encoded = encode_delta(items, base, form, Effort::kBalanced);
        ASSERT_EQ(decoded(encoded, {base}, items.size()).value(), items)
            << form_name(form) << " " << count << " " << difference.name;
        if (difference.share >= 0.9 && count > 1000) {
          EXPECT_EQ(encoded.encoding, Encoding::kDelta);
        }
        if (difference.share <= 0.01 && count > 1000) {
          EXPECT_EQ(encoded.encoding, Encoding::kSparse);
        }
      }
    }
  }
}

TEST(Encode, DerivedComesBack) {
  for (const Cast cast : {Cast::kF32ToBf16, Cast::kBf16ToF32, Cast::kF32ToF16, Cast::kF16ToF32}) {
    const ItemForm source = {static_cast<uint8_t>(source_bytes(cast)), true};
    const ItemForm target = {static_cast<uint8_t>(target_bytes(cast)), true};
    for (const size_t count : kCounts) {
      const Bytes base = make_prediction(count, source, 1);
      Bytes prediction(count * target.bytes);
      cast_items(cast, base, prediction);
      const Encoded exact = encode_derived(prediction, base, cast, Effort::kBalanced);
      EXPECT_EQ(exact.encoding, Encoding::kDerived);
      EXPECT_EQ(exact.parameters, (Bytes{encode_item_form(target), static_cast<uint8_t>(cast)}));
      EXPECT_EQ(exact.stored, Bytes(ceil_div(count, kBlockItems), 0)) << "all blocks are same";
      ASSERT_EQ(decoded(exact, {base}, prediction.size()).value(), prediction);
      const Bytes items = make_items(prediction, target, kDifferences[3], 2);
      const Encoded encoded = encode_derived(items, base, cast, Effort::kBalanced);
      ASSERT_EQ(decoded(encoded, {base}, items.size()).value(), items);
    }
  }
}

/// Whose parts are a cast and residuals, in all forms of blocks but the one that is told in an
/// order of the predictions.
TEST(Encode, DerivedComesBackFromItsParts) {
  size_t parted = 0, not_parted = 0;
  for (const Cast cast : {Cast::kF32ToBf16, Cast::kBf16ToF32, Cast::kF32ToF16, Cast::kF16ToF32}) {
    const ItemForm source = {static_cast<uint8_t>(source_bytes(cast)), true};
    const ItemForm target = {static_cast<uint8_t>(target_bytes(cast)), true};
    for (const size_t count : kCounts) {
      const Bytes base = make_prediction(count, source, 1);
      Bytes prediction(count * target.bytes), residuals(prediction.size());
      cast_items(cast, base, prediction);
      for (const Difference& difference : kDifferences) {
        const Bytes items = make_items(prediction, target, difference, 2);
        const Encoded encoded = encode_derived(items, base, cast, Effort::kBalanced);
        EXPECT_EQ(read_cast(encoded.parameters, items.size(), base.size()).value(), cast);
        EXPECT_EQ(are_as_predicted(encoded.stored, count), items == prediction);
        const auto read = read_residuals(encoded.stored, target, residuals);
        ASSERT_TRUE(read) << read.error().message;
        ++(*read ? parted : not_parted);
        if (!*read) continue;
        Bytes made = prediction;
        apply_residuals(residuals, target, made);
        EXPECT_EQ(made, items) << count << " " << difference.name;
        Bytes longer = encoded.stored;
        longer.push_back(0);
        EXPECT_FALSE(are_as_predicted(longer, count));
        EXPECT_EQ(read_residuals(longer, target, residuals).error().code, Code::kCorrupt);
      }
      EXPECT_FALSE(read_cast({}, prediction.size(), base.size()));
      EXPECT_FALSE(read_cast(Bytes{encode_item_form(target), static_cast<uint8_t>(cast)},
                             prediction.size(), base.size() + 1));
    }
  }
  EXPECT_GT(parted, 10 * not_parted);
  EXPECT_GT(not_parted, 0u);
}

TEST(Encode, PredictionsAreAskedForBlockByBlock) {
  const ItemForm form = {4, true};
  const size_t count = 2 * kBlockItems + 5;
  const Bytes base = make_prediction(count, form, 1);
  const Bytes items = make_items(base, form, kDifferences[3], 2);
  std::vector<size_t> firsts;
  const Predict predict = [&](size_t first, MutableBytes prediction) {
    firsts.push_back(first);
    std::memcpy(prediction.data(), base.data() + 4 * first, prediction.size());
  };
  Bytes stored;
  bool all_sparse = false;
  append_corrections(items, predict, form, Effort::kBalanced, stored, &all_sparse);
  EXPECT_TRUE(all_sparse);
  EXPECT_EQ(stored, encode_delta(items, base, form, Effort::kBalanced).stored);
  Bytes out(items.size());
  ASSERT_TRUE(read_corrections(stored, predict, form, out));
  EXPECT_EQ(out, items);
  EXPECT_EQ(firsts, (std::vector<size_t>{0, kBlockItems, 2 * kBlockItems, 0, kBlockItems,
                                         2 * kBlockItems}));
}

TEST(Encode, SparseMayHoldBits) {
  const ItemForm form = {2, true};
  const Bytes base = make_prediction(kBlockItems, form, 1);
  Encoded encoded =
      encode_delta(make_items(base, form, {"", 0.002, 1}, 2), base, form, Effort::kBalanced);
  ASSERT_EQ(encoded.encoding, Encoding::kSparse);
  ASSERT_EQ(encoded.stored[0], static_cast<uint8_t>(BlockForm::kBits));
  Bytes in_place = base;
  ASSERT_TRUE(
      decode_delta(encoded.encoding, encoded.parameters, encoded.stored, in_place, in_place));
  EXPECT_EQ(in_place, make_items(base, form, {"", 0.002, 1}, 2));
}

TEST(Encode, SparseMeansSparse) {
  const ItemForm form = {2, true};
  const Bytes base = make_prediction(5000, form, 1);
  const Bytes items = make_items(base, form, {"", 1, 500}, 2);
  Encoded encoded = encode_delta(items, base, form, Effort::kBalanced);
  ASSERT_EQ(encoded.encoding, Encoding::kDelta);
  encoded.encoding = Encoding::kSparse;
  EXPECT_EQ(decoded(encoded, {base}, items.size()).error().code, Code::kCorrupt);
}

TEST(Encode, WhatDoesNotFitIsDamage) {
  const ItemForm form = {2, true};
  const Bytes base = make_prediction(500, form, 1);
  const Bytes items = make_items(base, form, kDifferences[6], 2);
  const Encoded good = encode_delta(items, base, form, Effort::kBalanced);
  const auto code_of = [&](const Encoded& encoded, std::vector<ByteSpan> bases, size_t bytes) {
    const auto result = decoded(encoded, std::move(bases), bytes);
    return result ? Code::kBug : result.error().code;
  };
  EXPECT_EQ(code_of(good, {}, 1000), Code::kCorrupt);
  EXPECT_EQ(code_of(good, {base, base}, 1000), Code::kCorrupt);
  EXPECT_EQ(code_of(good, {ByteSpan(base).first(998)}, 1000), Code::kCorrupt);
  EXPECT_EQ(code_of(good, {base}, 998), Code::kCorrupt);
  EXPECT_EQ(code_of(good, {ByteSpan(base).first(999)}, 999), Code::kCorrupt) << "half an item";
  Encoded wrong = good;
  wrong.stored.push_back(0);
  EXPECT_EQ(code_of(wrong, {base}, 1000), Code::kCorrupt) << "bytes are left";
  wrong = good;
  wrong.parameters = {};
  EXPECT_EQ(code_of(wrong, {base}, 1000), Code::kCorrupt);
  wrong.parameters = {0x11, 1};
  EXPECT_EQ(code_of(wrong, {base}, 1000), Code::kCorrupt);
  wrong.parameters = {0x31};
  EXPECT_EQ(code_of(wrong, {base}, 1000), Code::kNewerFormat);
  wrong.encoding = Encoding::kDerived;
  wrong.parameters = {0x11, 5};
  EXPECT_EQ(code_of(wrong, {base}, 1000), Code::kNewerFormat);
  wrong.parameters = {0x12, 1};
  EXPECT_EQ(code_of(wrong, {base}, 1000), Code::kCorrupt) << "BF16 has 2 bytes";
  wrong.parameters = {0x11, 1};
  EXPECT_EQ(code_of(wrong, {base}, 1000), Code::kCorrupt) << "a base of the wrong size";
  wrong = {Encoding::kRaw, {1}, Bytes(1000)};
  EXPECT_EQ(code_of(wrong, {}, 1000), Code::kCorrupt) << "parameters of raw";
}

TEST(Encode, DamageIsSeenOrDecodesToOtherBytes) {
  const ItemForm form = {2, true};
  const size_t count = kBlockItems + 50;
  const Bytes base = make_prediction(count, form, 1);
  const Bytes items = make_items(base, form, {"", 0.004, 5}, 2);
  const Encoded good = encode_delta(items, base, form, Effort::kBalanced);
  std::mt19937 random(1);
  for (size_t at = 0; at < good.stored.size(); at += 1 + random() % 5) {
    Encoded changed = good;
    changed.stored[at] ^= static_cast<uint8_t>(1 + random() % 255);
    (void)decoded(changed, {base}, items.size()).has_value();
    changed.stored.resize(at);
    EXPECT_FALSE(decoded(changed, {base}, items.size()));
  }
}

}  // namespace
}  // namespace cairn
