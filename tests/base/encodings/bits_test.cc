#include "base/encodings/bits.h"

#include <gtest/gtest.h>

#include "base/encodings/bit_stream.h"
#include "base/encodings/block.h"
#include "tests/base/encodings/item_samples.h"

namespace cairn {
namespace {

/// A block of these residuals in bits, whatever else were smaller.
Bytes block_of(const Bytes& residuals, const Bytes& prediction, ItemForm form) {
  const BitsPlan plan = plan_bits(residuals, prediction, form);
  Bytes block = {4};
  append_bits(residuals, form.bytes, plan, block);
  EXPECT_EQ(block.size(), 1 + plan.bytes());
  return block;
}
/// In one class.
Bytes block_of(const Bytes& residuals, unsigned item_bytes) {
  return block_of(residuals, Bytes(residuals.size()), {static_cast<uint8_t>(item_bytes), false});
}

/// The residuals that a block holds; an error when it is not used up.
Result<Bytes> read(ByteSpan block, unsigned item_bytes, size_t count) {
  Bytes items(count * item_bytes, 0xee);
  CAIRN_CHECK(read_items(block, item_bytes, items));
  if (!block.empty()) return fail(Code::kBug, "bytes are left");
  return items;
}

/// What a block makes of a prediction.
Result<Bytes> correct(ByteSpan block, const Bytes& prediction, ItemForm form) {
  Bytes items = prediction;
  BlockForm met{};
  CAIRN_CHECK(correct_items(block, form, items, met));
  if (!block.empty()) return fail(Code::kBug, "bytes are left");
  return items;
}

Code code_of(ByteSpan block, unsigned item_bytes, size_t count) {
  const auto items = read(block, item_bytes, count);
  return items ? Code::kBug : items.error().code;
}

/// Zeros but for a share of the items, at least one: small numbers, or of up to all bits.
Bytes residuals_of(size_t count, unsigned item_bytes, double share, bool is_large) {
  const ItemForm form = {static_cast<uint8_t>(item_bytes), false};
  Bytes items(count * item_bytes, 0);
  std::mt19937_64 random(count);
  std::uniform_real_distribution<double> dice(0, 1);
  const size_t always = random() % count;
  for (size_t i = 0; i < count; ++i) {
    if (i != always && dice(random) >= share) continue;
    const uint64_t any = random() >> random() % 64 >> (64 - 8 * form.bytes);
    const uint64_t item = is_large ? std::max<uint64_t>(any, 1) : 1 + random() % 2;
    std::memcpy(items.data() + i * item_bytes, &item, item_bytes);
  }
  return items;
}

TEST(Bits, ComeBackAtEveryDensity) {
  for (const unsigned item_bytes : {1u, 2u, 4u, 8u}) {
    for (const size_t count : {size_t{1}, size_t{2}, size_t{300}, size_t{5000}, kBlockItems}) {
      for (const double share : {0.0, 0.0001, 0.001, 0.01, 0.1, 0.5, 1.0}) {
        for (const bool is_large : {false, true}) {
          const Bytes residuals = residuals_of(count, item_bytes, share, is_large);
          const Bytes block = block_of(residuals, item_bytes);
          ASSERT_EQ(read(block, item_bytes, count).value(), residuals)
              << item_bytes << " " << count << " " << share << " " << is_large;
        }
      }
    }
  }
}

TEST(Bits, TheLargestItemsAndGapsComeBack) {
  for (const unsigned item_bytes : {1u, 2u, 4u, 8u}) {
    // The largest among many small ones, which make the code one of few low bits; and alone.
    for (const size_t small : {size_t{0}, size_t{50}}) {
      Bytes residuals(kBlockItems * item_bytes, 0);
      for (size_t i = 0; i < small; ++i) residuals[i * item_bytes] = 1;
      for (unsigned i = 1; i <= item_bytes; ++i) residuals[residuals.size() - i] = 0xff;
      const Bytes block = block_of(residuals, item_bytes);
      ASSERT_EQ(read(block, item_bytes, kBlockItems).value(), residuals);
      ASSERT_LT(block.size(), 4096u) << "a gap in one bits";
    }
  }
}

// By chance 1 % of the items, one bit or two for the sign: 65536 (H(0.01) + 0.015) / 8.
TEST(Bits, AreCloseToTheEntropy) {
  const Bytes residuals = residuals_of(kBlockItems, 2, 0.01, false);
  EXPECT_LT(block_of(residuals, 2).size(), (0.0808 + 0.015) * 8192 * 1.1 + 9);
}

// Worked by hand from docs/FORMAT.md, section 7.2. After two zeros 1, after 296 zeros 4.
constexpr size_t kCount = 300;
const Bytes kGolden = {4,                    // bits
                       1,    5,    0,    0,  // of one class, five bytes
                       0xc0, 0x18, 0x82, 0x87, 0x2e};
// The bits in order: b 000000 | items 11 0 0 | a 01100 (6) | 0 010000 | 0 || 11110 000101 | 110 1
Bytes golden_residuals() {
  Bytes residuals(kCount, 0);
  residuals[2] = 1;
  residuals[299] = 4;
  return residuals;
}

/// Bits as they are written in a comment: the first is the lowest of the first byte.
Bytes bytes_of(std::string_view bits) {
  Bytes bytes;
  size_t count = 0;
  for (const char bit : bits) {
    if (bit != '0' && bit != '1') continue;
    if (count % 8 == 0) bytes.push_back(0);
    bytes.back() |= static_cast<uint8_t>((bit - '0') << count++ % 8);
  }
  return bytes;
}
Bytes block_in_bits(Bytes head, std::string_view bits, size_t more = 0) {
  Bytes block = {4};
  append_bytes(block, head);
  const Bytes stream = bytes_of(bits);
  block.push_back(static_cast<uint8_t>(stream.size() + more));
  block.resize(block.size() + 2);
  append_bytes(block, stream);
  return block;
}

TEST(Bits, BytesOfTheFormat) {
  const Bytes block = block_in_bits({1}, "000000 1100 01100  0 010000 0  11110 000101  110 1");
  EXPECT_EQ(block_of(golden_residuals(), 1), block);
  EXPECT_EQ(block, kGolden);
  EXPECT_EQ(read(block, 1, kCount).value(), golden_residuals());
  // The lowest seven bits of each gap and the lowest of each item less 1 as they are.
  const Bytes other = block_in_bits({1}, "100000 1100 11100  0 0100000 0 0  110 0001010 10 1");
  EXPECT_EQ(read(other, 1, kCount).value(), golden_residuals());
}

TEST(Bits, WhatDoesNotFitIsDamage) {
  const auto code = [](std::string_view bits, size_t count = kCount, size_t more = 0) {
    return code_of(block_in_bits({1}, bits, more), 1, count);
  };
  constexpr std::string_view kGood = "000000 1100 01100  0 010000 0  11110 000101  110 1";
  ASSERT_EQ(code(kGood), Code::kBug) << "reads";
  EXPECT_EQ(code("000000 0"), Code::kCorrupt) << "no items";
  EXPECT_EQ(code("000000 10 01100  0 010000 0  11110 000101  110 1"), Code::kCorrupt) << "one less";
  EXPECT_EQ(code("000000 1101 01100  0 010000 0  11110 000101  110 1"), Code::kCorrupt) << "more";
  EXPECT_EQ(code("000100 1100 01100  0 010000 0  11110 000101  110 1"), Code::kCorrupt)
      << "as many low bits as the item has";
  EXPECT_EQ(code("000000 1100 01100  0 110000 0  11110 000101  110 1"), Code::kCorrupt)
      << "a gap beyond the last item";
  EXPECT_EQ(code("000000 1100 01100  0 010000 0  11110 000101  110 1 01"), Code::kCorrupt)
      << "a bit is left";
  EXPECT_EQ(code("000000 1100 01100  0 010000 0  11110 000101  110 1 00000000"), Code::kCorrupt)
      << "a byte is left";
  EXPECT_EQ(code(kGood, kCount, 1), Code::kCorrupt) << "the block is cut";
  EXPECT_EQ(code("000000 1100 01100  0 010000 0  11110 0"), Code::kCorrupt) << "bits are cut";
  EXPECT_EQ(code(kGood, kCount - 1), Code::kCorrupt) << "fewer items";
  EXPECT_EQ(code("000000 10 00000  0 111111111 0 00000000"), Code::kCorrupt) << "an item of 9 bits";
  EXPECT_EQ(code("000000 11111111111111111 0 1111111111111111 00000"), Code::kCorrupt)
      << "more items than there are";
  const Bytes fits = block_in_bits({1}, "000000 10 00000  0 11111111 0 0000000");
  EXPECT_EQ(read(fits, 1, kCount).value()[0], 129);
}

TEST(Bits, OneBitsWithoutEndAreDamage) {
  for (const unsigned item_bytes : {1u, 8u}) {
    for (const std::string_view bits :
         {"000000", "000000 10 00000", "000000 10 11111", "000000 10 00000 0"}) {
      Bytes block = {4, 1, 0xa0, 0x86, 0x01};
      Bytes stream = bytes_of(std::string(bits) + "11111111");
      stream.resize(100000, 0xff);
      append_bytes(block, stream);
      EXPECT_EQ(code_of(block, item_bytes, kBlockItems), Code::kCorrupt) << bits;
    }
  }
}

constexpr ItemForm kBf16 = {2, true};

/// Floats of about one size and one exponent less, two less ..., as many of each half as many.
Bytes floats_of_all_sizes(size_t count) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.02f);
  Bytes items(2 * count);
  for (size_t i = 0; i < count; ++i) {
    store_le(items, 2 * i, static_cast<uint16_t>(std::bit_cast<uint32_t>(normal(random)) >> 16));
  }
  return items;
}

/// What an optimizer's small step makes of them: the smaller they are the more change.
Bytes step_residuals(const Bytes& floats, double share) {
  std::mt19937 random(6);
  Bytes residuals(floats.size());
  for (size_t i = 0; i < floats.size(); i += 2) {
    const int size = load_le<uint16_t>(floats, i) >> 7 & 0xff;
    const double odds = share * std::exp2(121 - size);
    if (std::generate_canonical<double, 32>(random) >= odds) continue;
    residuals[i] = static_cast<uint8_t>(1 + random() % 2);
  }
  return residuals;
}

TEST(Bits, ClassesOfSizesSaveAFifth) {
  const Bytes floats = floats_of_all_sizes(kBlockItems);
  for (const double share : {0.0003, 0.002, 0.02}) {
    const Bytes residuals = step_residuals(floats, share);
    const Bytes sorted = block_of(residuals, floats, kBf16);
    EXPECT_GT(sorted[1], 1);
    EXPECT_LE(sorted.size() * 5, block_of(residuals, 2).size() * 4) << share;
    EXPECT_EQ(correct(sorted, floats, kBf16).value(),
              correct(block_of(residuals, 2), floats, kBf16).value());
  }
}

TEST(Bits, SizesOfAllKindsOfFloats) {
  for (const uint8_t item_bytes : {2, 4, 8}) {
    const ItemForm form = {item_bytes, true};
    for (const size_t count :
         {size_t{17}, size_t{64}, size_t{5000}, kBlockItems - 1, kBlockItems}) {
      const Bytes prediction = make_prediction(count, form, 3);
      Bytes residuals(prediction.size());
      std::mt19937_64 random(count);
      for (size_t i = 0; i < count; ++i) {
        // Only what is small changes, often.
        if ((prediction[i * item_bytes + item_bytes - 1] & 0x7f) > 0x3b || random() % 3 == 0)
          continue;
        residuals[i * item_bytes] = static_cast<uint8_t>(random() % 200);
      }
      residuals[0] = 1;
      const Bytes sorted = block_of(residuals, prediction, form);
      const Bytes plain = block_of(residuals, item_bytes);
      if (count > 1000) EXPECT_GT(sorted[1], 1) << int{item_bytes};
      ASSERT_EQ(correct(sorted, prediction, form).value(), correct(plain, prediction, form).value())
          << int{item_bytes} << " " << count;
    }
  }
}

// Six floats, of the sizes 127, 120, 126, 3, 119, 127, in classes from 127, from 120, and the rest.
TEST(Bits, ClassesOfTheFormat) {
  Bytes floats;
  for (const uint16_t size : {127, 120, 126, 3, 119, 127}) {
    append_le(floats, static_cast<uint16_t>(size << 7 | 0x8000 * (size % 2)));
  }
  // Class 0 has floats 0 and 5, class 1 floats 1 and 2, class 2 floats 3 and 4.
  const Bytes block = block_in_bits({3, 127, 7},
                                    "000000"
                                    " 10 00000  10 0"           // the second: item 1
                                    " 0"                        // none
                                    " 1100 00000  0 10  0 0");  // the first: item 2, next: 1
  Bytes expected = floats;
  const auto add = [&](size_t i, int by) {
    store_le(expected, 2 * i, static_cast<uint16_t>(load_le<uint16_t>(expected, 2 * i) + by));
  };
  add(5, 1);   // residual 1 is down by one, away from zero for what is negative
  add(3, -1);  // residual 2 is up by one
  add(4, 1);
  EXPECT_EQ(correct(block, floats, kBf16).value(), expected);

  const auto code = [&](Bytes head, ItemForm form = kBf16) {
    const auto items =
        correct(block_in_bits(head, "000000 10 00000 10 0 0 1100 00000 0 10 0 0"), floats, form);
    return items ? Code::kBug : items.error().code;
  };
  ASSERT_EQ(code({3, 127, 7}), Code::kBug) << "reads";
  EXPECT_EQ(code({0}), Code::kCorrupt) << "no class";
  EXPECT_EQ(code({5, 127, 1}), Code::kCorrupt) << "too many";
  EXPECT_EQ(code({3, 127, 0}), Code::kCorrupt) << "no step";
  EXPECT_EQ(code({3, 6, 7}), Code::kCorrupt) << "a bound below 0";
  EXPECT_EQ(code({3, 127, 7}, {2, false}), Code::kCorrupt) << "no floats";
  EXPECT_EQ(code({3, 127, 7}, {1, true}), Code::kCorrupt) << "no sizes";
  EXPECT_EQ(code({3, 126, 7}), Code::kCorrupt) << "a place beyond the class";
  EXPECT_EQ(code_of(block, 2, 6), Code::kCorrupt) << "no prediction";
}

TEST(Bits, DamageInClassesIsSeenOrDecodesToOtherItems) {
  const Bytes floats = floats_of_all_sizes(3000);
  const Bytes block = block_of(step_residuals(floats, 0.03), floats, kBf16);
  ASSERT_GT(block[1], 1);
  for (size_t length = 0; length < block.size(); ++length) {
    ASSERT_FALSE(correct(ByteSpan(block).first(length), floats, kBf16));
  }
  for (size_t bit = 0; bit < 8 * block.size(); ++bit) {
    Bytes changed = block;
    changed[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    (void)correct(Bytes(changed), floats, kBf16).has_value();
  }
}

TEST(Bits, DamageIsSeenOrDecodesToOtherItems) {
  for (const unsigned item_bytes : {1u, 2u, 4u, 8u}) {
    for (const bool is_large : {false, true}) {
      const Bytes block = block_of(residuals_of(2000, item_bytes, 0.02, is_large), item_bytes);
      for (size_t length = 0; length < block.size(); ++length) {
        ASSERT_EQ(code_of(ByteSpan(block).first(length), item_bytes, 2000), Code::kCorrupt);
      }
      for (size_t bit = 0; bit < 8 * block.size(); ++bit) {
        Bytes changed = block;
        changed[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
        // Exactly as long, so that a read beyond the end is one beyond memory.
        (void)read(Bytes(changed), item_bytes, 2000).has_value();
      }
    }
  }
}

TEST(Bits, StreamsOfAllWidthsComeBack) {
  for (unsigned count = 0; count <= 64; ++count) {
    for (const size_t ones : {size_t{0}, size_t{1}, size_t{31}, size_t{32}, size_t{56}, size_t{57},
                              size_t{64}, size_t{1000}}) {
      const uint64_t bits = count == 0 ? 0 : uint64_t{0xd1b54a32d192ed03} >> (64 - count);
      Bytes room(256 + BitWriter::kSlack, 0xee);
      BitWriter writer(room.data());
      writer.put(5, 3);
      writer.put_code(ones, bits, count);
      writer.put_code(2, 1, 1);
      const size_t all = 3 + ones + 1 + count + 4;
      room.resize(ceil_div(all, 8));
      BitReader reader(room);
      ASSERT_EQ(reader.take(3), 5u);
      ASSERT_EQ(reader.take_unary(2000), ones);
      ASSERT_EQ(reader.take(count), bits);
      ASSERT_FALSE(reader.is_used_up() && all % 8 > 4);
      ASSERT_EQ(reader.take_unary(100), 2u);
      ASSERT_EQ(reader.take(1), 1u);
      ASSERT_TRUE(reader.is_used_up()) << count << " " << ones;
      ASSERT_EQ(reader.take(8), 0u);
      ASSERT_FALSE(reader.is_used_up());
    }
  }
}

}  // namespace
}  // namespace cairn
