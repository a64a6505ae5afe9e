// Pages: the three kinds of entries come back, and malformed cells are refused.
#include "store/page.h"

#include <gtest/gtest.h>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const Page& page) {
  const auto& [entries] = page;
  return std::tie(entries);
}

namespace {

std::vector<Piece> random_pieces(RandomValues& random) {
  std::vector<Piece> pieces(1 + random.below(4));
  const size_t rank = random.below(17);
  for (Piece& piece : pieces) {
    for (size_t axis = 0; axis < rank; ++axis) {
      piece.offsets.push_back(random.number<uint64_t>());
      piece.lengths.push_back(random.number<uint64_t>());
    }
    piece.digest = random.digest();
  }
  return pieces;
}

Page random_page(RandomValues& random, size_t entry_count) {
  Page page;
  for (size_t i = 0; i < entry_count; ++i) {
    switch (random.below(3)) {
      case 0:
        page.entries.emplace_back(random.digest());
        break;
      case 1:
        page.entries.emplace_back(random.bytes(1 + random.below(kInlineBytesMax)));
        break;
      default:
        page.entries.emplace_back(random_pieces(random));
    }
  }
  return page;
}

TEST(Page, ReadsWhatItWrote) {
  RandomValues random(1);
  for (size_t i = 0; i < 200; ++i) {
    const Page page = random_page(random, i % 40);
    expect_read_back(page, encode_page(page), decode_page);
  }
}

TEST(Page, HoldsAsManyEntriesAsAllowedAndNoMore) {
  RandomValues random(2);
  Page page = random_page(random, kPageEntriesMax);
  const auto decoded = decode_page(encode_page(page));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_TRUE(*decoded == page);
  page.entries.emplace_back(random.digest());
  EXPECT_EQ(decode_page(encode_page(page)).error().code, Code::kCorrupt);
}

TEST(Page, EntriesShareNoAuxiliaryBytes) {
  // Two inline entries of 4 bytes; the second one's offset, then its length, reaches into the
  // first.
  const Bytes page = encode_page({{Bytes{1, 2, 3, 4}, Bytes{5, 6, 7, 8}}});
  ASSERT_TRUE(decode_page(page));
  const size_t second = 16 + 8 + 32;
  for (const uint8_t length : {0, 5, 8}) {
    Bytes shared = page;
    shared[second] = 0;
    shared[second + 4] = length;
    EXPECT_FALSE(decode_page(shared)) << int{length};
  }
}

TEST(Page, LiesAsTheFormatSays) {
  const Page page{{Bytes{1, 2, 3}, Digest{}, Bytes{4}}};
  const Bytes bytes = encode_page(page);
  ASSERT_EQ(bytes.size(), 24u + 3 * 32 + 4);
  EXPECT_EQ(load_le<uint32_t>(bytes, 8), 3u);
  EXPECT_EQ(load_le<uint32_t>(bytes, 12), 4u);
  EXPECT_EQ(bytes[16], 1);
  EXPECT_EQ(bytes[17], 0);
  EXPECT_EQ(load_le<uint32_t>(bytes, 24 + 64), 3u) << "offset of the third entry's bytes";
  EXPECT_EQ(load_le<uint32_t>(bytes, 24 + 68), 1u);
  EXPECT_EQ(bytes.back(), 4);
}

TEST(Page, DamageIsNamedOrHarmless) {
  RandomValues random(3);
  const Page mixed{{random.digest(), random.bytes(5), random_pieces(random), random.bytes(0)}};
  for (const Page& page : {Page{}, mixed, random_page(random, 9)}) {
    const Bytes bytes = encode_page(page);
    expect_cuts_refused(bytes, decode_page);
    expect_appendices_refused(bytes, decode_page);
    expect_changes_harmless(bytes, decode_page, encode_page);
  }
  expect_noise_survived({}, decode_page, random);
  expect_noise_survived(ByteSpan(encode_page(Page{})).first(8), decode_page, random);
}

TEST(Page, ImpossibleNumbersAreRefused) {
  RandomValues random(4);
  // One inline entry of 40 bytes: its cell is at 24.
  const Bytes whole = encode_page(Page{{random.bytes(40)}});
  const struct {
    size_t offset;
    uint32_t value;
    Code code;
  } kTable[] = {
      {0, 0, Code::kCorrupt},           {4, 0, Code::kCorrupt},
      {4, 2, Code::kNewerFormat},       {4, UINT32_MAX, Code::kNewerFormat},
      {8, 0, Code::kCorrupt},           {8, 2, Code::kCorrupt},
      {8, 4097, Code::kCorrupt},        {8, UINT32_MAX, Code::kCorrupt},
      {12, 39, Code::kCorrupt},         {12, 41, Code::kCorrupt},
      {12, UINT32_MAX, Code::kCorrupt}, {16, 3, Code::kCorrupt},
      {24, 1, Code::kCorrupt},          {24, UINT32_MAX, Code::kCorrupt},
      {28, 41, Code::kCorrupt},         {28, UINT32_MAX, Code::kCorrupt},
  };
  for (const auto& row : kTable) {
    Bytes bytes = whole;
    store_le(bytes, row.offset, row.value);
    const auto decoded = decode_page(bytes);
    ASSERT_FALSE(decoded.has_value()) << row.offset << ": " << row.value;
    EXPECT_EQ(decoded.error().code, row.code) << decoded.error().message;
  }
}

TEST(Page, InlineEntriesHaveALimit) {
  RandomValues random(5);
  EXPECT_TRUE(decode_page(encode_page(Page{{random.bytes(kInlineBytesMax)}})).has_value());
  EXPECT_FALSE(decode_page(encode_page(Page{{random.bytes(kInlineBytesMax + 1)}})).has_value());
}

TEST(Page, CountsOfPiecesMustFitTheirBytes) {
  RandomValues random(6);
  const Piece piece{{1, 2}, {3, 4}, random.digest()};
  const Bytes whole = encode_page(Page{{std::vector<Piece>{piece, piece}}});
  for (const uint32_t count : {0u, 3u, 5u, 127u, UINT32_MAX}) {
    Bytes bytes = whole;
    store_le(bytes, 32, count);
    const auto decoded = decode_page(bytes);
    ASSERT_FALSE(decoded.has_value()) << count;
    EXPECT_EQ(decoded.error().code, Code::kCorrupt);
  }
}

TEST(Page, CopiesAreCounted) {
  RandomValues random(7);
  EXPECT_EQ(copy_count(random.digest()), 1u);
  EXPECT_EQ(copy_count(random.bytes(3)), 0u);
  EXPECT_EQ(copy_count(std::vector<Piece>(3)), 3u);
}

}  // namespace
}  // namespace cairn
