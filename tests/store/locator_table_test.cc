// Locator tables: places, closure and packs come back; the page digests are the manifest's.
#include "store/locator_table.h"

#include <gtest/gtest.h>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const PagePlace& place) {
  const auto& [page, locator] = place;
  return std::tie(page, locator);
}
static auto fields(const PackUse& use) {
  const auto& [pack, stored_bytes] = use;
  return std::tie(pack, stored_bytes);
}
static auto fields(const LocatorTable& table) {
  const auto& [manifest, pages, closure, packs] = table;
  return std::tie(manifest, pages, closure, packs);
}

namespace {

PagePlace random_place(RandomValues& random, const std::vector<FileId>& files) {
  PagePlace place;
  for (Reference* reference : {&place.page, &place.locator}) {
    *reference = {files[random.below(files.size())], random.number<uint64_t>(),
                  random.number<uint32_t>(), random.digest()};
  }
  return place;
}

LocatorTable random_table(RandomValues& random, uint64_t records_max) {
  std::vector<FileId> files(1 + random.below(3));
  for (FileId& file : files) file = random.file();
  LocatorTable table;
  table.manifest = random.digest();
  for (uint64_t i = random.below(records_max + 1); i > 0; --i) {
    table.pages.push_back(random_place(random, files));
  }
  for (uint64_t i = random.below(records_max + 1); i > 0; --i) {
    table.closure.push_back(random_place(random, files));
  }
  table.packs.resize(random.below(records_max + 1));
  for (PackUse& use : table.packs) use = {random.file(), random.number<uint64_t>()};
  return table;
}

/// One page, one closure page, one data pack, all metadata in one file.
LocatorTable small_table(RandomValues& random) {
  const std::vector<FileId> files{random.file()};
  return {random.digest(),
          {random_place(random, files)},
          {random_place(random, files)},
          {{random.file(), 5}}};
}

std::vector<Digest> page_digests(const LocatorTable& table) {
  std::vector<Digest> digests;
  for (const PagePlace& place : table.pages) digests.push_back(place.page.digest);
  return digests;
}

TEST(LocatorTable, ReadsWhatItWrote) {
  RandomValues random(1);
  for (size_t i = 0; i < 300; ++i) {
    const LocatorTable table = random_table(random, i % 20);
    expect_read_back(table, encode_locator_table(table), [&](ByteSpan bytes) {
      return decode_locator_table(bytes, page_digests(table));
    });
  }
}

TEST(LocatorTable, ListsEachFileOnce) {
  RandomValues random(2);
  LocatorTable table = small_table(random);
  table.pages.resize(50, table.pages[0]);
  const Bytes bytes = encode_locator_table(table);
  EXPECT_EQ(load_le<uint32_t>(bytes, 8), 1u);
  EXPECT_EQ(bytes.size(), 56u + 24 + 50 * 72 + 104 + 32);
}

TEST(LocatorTable, DamageIsNamedOrHarmless) {
  RandomValues random(3);
  for (const LocatorTable& table : {LocatorTable{}, small_table(random), random_table(random, 6)}) {
    const auto decode = [digests = page_digests(table)](ByteSpan bytes) {
      return decode_locator_table(bytes, digests);
    };
    const Bytes bytes = encode_locator_table(table);
    expect_cuts_refused(bytes, decode);
    expect_appendices_refused(bytes, decode);
    expect_changes_harmless(bytes, decode, encode_locator_table);
    expect_noise_survived(ByteSpan(bytes).first(8), decode, random);
    expect_noise_survived({}, decode, random);
  }
}

TEST(LocatorTable, ImpossibleNumbersAreRefused) {
  RandomValues random(4);
  const LocatorTable table = small_table(random);
  const Bytes whole = encode_locator_table(table);
  const struct {
    size_t offset;
    uint32_t value;
    Code code;
  } kTable[] = {
      {0, 0, Code::kCorrupt},     {4, 0, Code::kCorrupt},
      {4, 2, Code::kNewerFormat}, {4, UINT32_MAX, Code::kNewerFormat},
      {8, 0, Code::kCorrupt},     {8, UINT32_MAX, Code::kCorrupt},
      {12, 0, Code::kCorrupt},    {12, 2, Code::kCorrupt},
      {16, 0, Code::kCorrupt},    {16, UINT32_MAX, Code::kCorrupt},
      {20, 0, Code::kCorrupt},    {20, UINT32_MAX, Code::kCorrupt},
      {76, 1, Code::kCorrupt},    {80, 1, Code::kCorrupt},
      {84, 1, Code::kCorrupt},    {84, UINT32_MAX, Code::kCorrupt},
  };
  for (const auto& row : kTable) {
    Bytes bytes = whole;
    store_le(bytes, row.offset, row.value);
    const auto decoded = decode_locator_table(bytes, page_digests(table));
    ASSERT_FALSE(decoded.has_value()) << row.offset << ": " << row.value;
    EXPECT_EQ(decoded.error().code, row.code) << decoded.error().message;
  }
}

TEST(LocatorTable, TheTableOfAnotherManifestIsRefused) {
  RandomValues random(5);
  const LocatorTable table = small_table(random);
  const Bytes bytes = encode_locator_table(table);
  for (const size_t pages : {0, 2, 100}) {
    const auto decoded = decode_locator_table(bytes, std::vector<Digest>(pages));
    ASSERT_FALSE(decoded.has_value()) << pages;
    EXPECT_EQ(decoded.error().code, Code::kCorrupt);
  }
}

}  // namespace
}  // namespace cairn
