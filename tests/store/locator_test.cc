// Locators: every copy comes back with its pack, bases and parameters.
#include "store/locator.h"

#include <gtest/gtest.h>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const Locator& locator) {
  const auto& [copies] = locator;
  return std::tie(copies);
}

namespace {

Copy random_copy(RandomValues& random, const std::vector<FileId>& packs) {
  Copy copy;
  copy.pack = packs[random.below(packs.size())];
  copy.offset = random.number<uint64_t>() >> 2;
  copy.stored_bytes = random.number<uint32_t>();
  copy.decoded_bytes = random.number<uint32_t>();
  copy.encoding = static_cast<Encoding>(random.number<uint8_t>());
  copy.bases.resize(random.coin() ? 0 : random.below(kBasesMax + 1));
  for (BaseRef& base : copy.bases) base = {random.digest(), random.number<uint32_t>()};
  if (random.coin()) copy.parameters = random.bytes(random.below(40));
  return copy;
}

Locator random_locator(RandomValues& random, size_t copy_count) {
  std::vector<FileId> packs(1 + random.below(3));
  for (FileId& pack : packs) pack = random.file();
  Locator locator;
  for (size_t i = 0; i < copy_count; ++i) locator.copies.push_back(random_copy(random, packs));
  return locator;
}

/// One copy with bases in 2 pages and 3 bytes of parameters: these pages are at 48, its record is
/// at 112, its bases are at 144.
Locator small_locator(RandomValues& random) {
  Locator locator = random_locator(random, 1);
  locator.copies[0].bases = {{random.digest(), 2}, {random.digest(), 4}};
  locator.copies[0].parameters = {5, 6, 7};
  return locator;
}

TEST(Locator, ReadsWhatItWrote) {
  RandomValues random(1);
  for (size_t i = 0; i < 200; ++i) {
    const Locator locator = random_locator(random, i % 50);
    expect_read_back(locator, encode_locator(locator), decode_locator);
  }
}

TEST(Locator, CopiesShareNoAuxiliaryBytes) {
  Locator locator;
  locator.copies.resize(2);
  for (Copy& copy : locator.copies) copy.parameters = Bytes(100, 7);
  Bytes bytes = encode_locator(locator);
  ASSERT_TRUE(decode_locator(bytes));
  // Both take all 200 bytes.
  for (const size_t copy : {0, 1}) {
    const size_t record = 24 + kFileIdBytes + copy * 32;
    store_le<uint16_t>(bytes, record + 6, 200);
    store_le<uint32_t>(bytes, record + 24, 0);
  }
  EXPECT_FALSE(decode_locator(bytes));
}

TEST(Locator, NoCopyLiesBeyondAnyFile) {
  Locator locator;
  locator.copies.resize(1);
  locator.copies[0].offset = UINT64_MAX - 100;
  locator.copies[0].stored_bytes = 700;
  EXPECT_FALSE(decode_locator(encode_locator(locator)));
}

TEST(Locator, KeepsTheLongestParameters) {
  RandomValues random(2);
  Locator locator = random_locator(random, 2);
  locator.copies[0].parameters = random.bytes(65535);
  const auto decoded = decode_locator(encode_locator(locator));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_TRUE(*decoded == locator);
}

TEST(Locator, ListsEachPackOnce) {
  RandomValues random(3);
  Locator locator = random_locator(random, 1);
  locator.copies.resize(100, locator.copies[0]);
  EXPECT_EQ(load_le<uint32_t>(encode_locator(locator), 8), 1u);
}

TEST(Locator, DamageIsNamedOrHarmless) {
  RandomValues random(4);
  for (const Locator& locator : {Locator{}, small_locator(random), random_locator(random, 12)}) {
    const Bytes bytes = encode_locator(locator);
    expect_cuts_refused(bytes, decode_locator);
    expect_appendices_refused(bytes, decode_locator);
    expect_changes_harmless(bytes, decode_locator, encode_locator);
  }
  expect_noise_survived({}, decode_locator, random);
  expect_noise_survived(ByteSpan(encode_locator({})).first(8), decode_locator, random);
}

TEST(Locator, ImpossibleNumbersAreRefused) {
  RandomValues random(5);
  const Bytes whole = encode_locator(small_locator(random));
  ASSERT_EQ(whole.size(), 144u + 2 * 8 + 3);
  const struct {
    size_t offset;
    uint32_t value;
    Code code;
  } kTable[] = {
      {0, 0, Code::kCorrupt},           {4, 0, Code::kCorrupt},
      {4, 2, Code::kNewerFormat},       {4, UINT32_MAX, Code::kNewerFormat},
      {8, 0, Code::kCorrupt},           {8, UINT32_MAX, Code::kCorrupt},
      {12, 0, Code::kCorrupt},          {12, UINT32_MAX, Code::kCorrupt},
      {16, 18, Code::kCorrupt},         {16, UINT32_MAX, Code::kCorrupt},
      {20, 1, Code::kCorrupt},          {20, UINT32_MAX, Code::kCorrupt},
      {112, 1, Code::kCorrupt},         {112, UINT32_MAX, Code::kCorrupt},
      {116, 0xff << 8, Code::kCorrupt}, {116, 0xffff0000, Code::kCorrupt},
      {136, 1, Code::kCorrupt},         {136, UINT32_MAX, Code::kCorrupt},
      {144, 2, Code::kCorrupt},         {152, UINT32_MAX, Code::kCorrupt},
  };
  for (const auto& row : kTable) {
    Bytes bytes = whole;
    store_le(bytes, row.offset, row.value);
    const auto decoded = decode_locator(bytes);
    ASSERT_FALSE(decoded.has_value()) << row.offset << ": " << row.value;
    EXPECT_EQ(decoded.error().code, row.code) << decoded.error().message;
  }
}

TEST(Locator, MoreThan8BasesAreRefused) {
  RandomValues random(6);
  Locator locator = small_locator(random);
  locator.copies[0].bases.resize(kBasesMax);
  EXPECT_TRUE(decode_locator(encode_locator(locator)).has_value());
  locator.copies[0].bases.resize(kBasesMax + 1);
  EXPECT_EQ(decode_locator(encode_locator(locator)).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace cairn
