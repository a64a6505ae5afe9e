// The bytes of root, tag entries and tag tables: what is written is read, what is damaged is named.
#include "store/root_format.h"

#include <gtest/gtest.h>

#include "store/config.h"
#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const TagFacts& facts) {
  const auto& [logical, fresh, stored, attachments, tensors, chunks, new_chunks, dropped, age] =
      facts;
  return std::tie(logical, fresh, stored, attachments, tensors, chunks, new_chunks, dropped, age);
}
static auto fields(const TagEntry& entry) {
  const auto& [name, removed, pinned, commit, created_ns, step, session, facts, manifest, schema,
               table, layout] = entry;
  return std::tie(name, removed, pinned, commit, created_ns, step, session, facts, manifest, schema,
                  table, layout);
}
static auto fields(const Condemned& condemned) {
  const auto& [kind, file, epoch] = condemned;
  return std::tie(kind, file, epoch);
}
static auto fields(const TagTableRef& table) {
  const auto& [reference, entries, newest_commit, first_name] = table;
  return std::tie(reference, entries, newest_commit, first_name);
}
static auto fields(const Root& root) {
  const auto& [store_id, commit, epoch, condemned, revoked, tables, entries] = root;
  return std::tie(store_id, commit, epoch, condemned, revoked, tables, entries);
}

namespace {

TagEntry random_entry(RandomValues& random) {
  TagEntry entry;
  entry.name = random.text(200);
  entry.removed = random.coin();
  entry.pinned = random.coin();
  entry.commit = random.number<uint64_t>();
  entry.created_ns = random.number<int64_t>();
  if (random.coin()) entry.step = random.number<int64_t>();
  entry.session = random.session();
  TagFacts& facts = entry.facts;
  for (uint64_t* fact :
       {&facts.logical_bytes, &facts.new_bytes, &facts.stored_bytes, &facts.attachment_bytes,
        &facts.tensors, &facts.chunks, &facts.new_chunks, &facts.dropped_tensors}) {
    *fact = random.number<uint64_t>();
  }
  for (Reference* reference : {&entry.manifest, &entry.schema, &entry.table}) {
    *reference = random.reference();
  }
  if (random.coin()) entry.layout = random.reference();
  return entry;
}

Root random_root(RandomValues& random, uint64_t records_max) {
  Root root;
  root.store_id = random.session();
  root.commit = random.number<uint64_t>();
  root.epoch = random.number<uint64_t>();
  root.condemned.resize(random.below(records_max + 1));
  for (Condemned& condemned : root.condemned) {
    condemned = {random.coin() ? FileKind::kPack : FileKind::kMeta, random.file(),
                 random.number<uint64_t>()};
  }
  root.revoked.resize(random.below(records_max + 1));
  for (SessionId& session : root.revoked) session = random.session();
  root.tables.resize(random.below(records_max + 1));
  std::string first_name;
  for (TagTableRef& table : root.tables) {
    first_name += random.text(30) + "x";
    table = {random.reference(), random.number<uint64_t>(), random.number<uint64_t>(), first_name};
  }
  root.entries.resize(random.below(records_max + 1));
  for (TagEntry& entry : root.entries) entry = random_entry(random);
  return root;
}

Result<Root> decode(ByteSpan bytes) { return decode_root(bytes, "s/root"); }

/// `bytes` with another format number and a digest that fits it.
Bytes of_format(Bytes bytes, uint32_t format) {
  store_le(bytes, 8, format);
  bytes.resize(bytes.size() - 32);
  append_digest(bytes, blake3(bytes));
  return bytes;
}

TEST(Root, ReadsWhatItWrote) {
  RandomValues random(1);
  for (int i = 0; i < 300; ++i) {
    const Root root = random_root(random, i % 8);
    expect_read_back(root, encode_root(root), decode);
  }
}

TEST(Root, LiesAsTheFormatSays) {
  Root root;
  root.store_id.bytes[0] = 0xab;
  root.commit = 7;
  root.epoch = 9;
  root.revoked.resize(3);
  const Bytes bytes = encode_root(root);
  EXPECT_EQ(bytes.size(), 64u + 3 * 16 + 32);
  EXPECT_EQ(as_text(bytes).substr(0, 8), "CAIRNRT1");
  EXPECT_EQ(load_le<uint32_t>(bytes, 8), 1u);
  EXPECT_EQ(bytes[16], 0xab);
  EXPECT_EQ(load_le<uint64_t>(bytes, 32), 7u);
  EXPECT_EQ(load_le<uint64_t>(bytes, 40), 9u);
  EXPECT_EQ(load_le<uint32_t>(bytes, 52), 3u);
}

TEST(Root, DamageIsNamed) {
  RandomValues random(2);
  Root root = random_root(random, 2);
  root.entries = {random_entry(random)};
  root.tables = {{random.reference(), 4, 7, "t"}};
  root.condemned = {{FileKind::kMeta, random.file(), 5}};
  for (const Root& each : {Root{}, root}) {
    const Bytes bytes = encode_root(each);
    expect_cuts_refused(bytes, decode);
    expect_appendices_refused(bytes, decode);
    expect_changes_refused(bytes, decode);
  }
  EXPECT_NE(decode(Bytes(200)).error().message.find("'s/root'"), std::string::npos);
}

TEST(Root, NewerFormatIsToldFromDamage) {
  const Bytes bytes = encode_root(Root{});
  for (const uint32_t format : {2u, 3u, 0x100u, UINT32_MAX}) {
    const auto decoded = decode(of_format(bytes, format));
    ASSERT_FALSE(decoded.has_value());
    EXPECT_EQ(decoded.error().code, Code::kNewerFormat) << decoded.error().message;
    EXPECT_FALSE(decoded.error().hint.empty());
  }
  EXPECT_TRUE(decode(of_format(bytes, kFormatNumber)).has_value());
}

TEST(Root, CountsBeyondTheBytesAreRefusedBeforeTheyAreAllocated) {
  const Bytes whole = encode_root(Root{});
  for (const size_t offset : {48, 52, 56, 60}) {
    for (const uint32_t count : {1u, 2u, 1u << 31, UINT32_MAX}) {
      Bytes bytes = whole;
      store_le(bytes, offset, count);
      const auto decoded = decode(of_format(bytes, 1));
      ASSERT_FALSE(decoded.has_value()) << offset << ", " << count;
      EXPECT_EQ(decoded.error().code, Code::kCorrupt);
    }
  }
}

TEST(Root, NoiseDoesNotCrashIt) {
  RandomValues random(3);
  expect_noise_survived({}, decode, random);
  expect_noise_survived(as_bytes("CAIRNRT1"), decode, random);
}

TEST(TagEntry, ReadsWhatItWrote) {
  RandomValues random(4);
  for (int i = 0; i < 500; ++i) {
    const TagEntry entry = random_entry(random);
    expect_read_back(entry, encode_tag_entry(entry), decode_tag_entry);
  }
}

TEST(TagEntry, StepZeroAndNoStepDiffer) {
  TagEntry entry;
  EXPECT_EQ(decode_tag_entry(encode_tag_entry(entry))->step, std::nullopt);
  for (const int64_t step : {int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    entry.step = step;
    EXPECT_EQ(decode_tag_entry(encode_tag_entry(entry))->step, step);
  }
}

TEST(TagEntry, DamageIsNamedOrHarmless) {
  RandomValues random(5);
  TagEntry entry = random_entry(random);
  entry.layout = random.reference();
  const Bytes bytes = encode_tag_entry(entry);
  expect_cuts_refused(bytes, decode_tag_entry);
  expect_changes_harmless(bytes, decode_tag_entry, encode_tag_entry);
  expect_noise_survived({}, decode_tag_entry, random);
}

TEST(TagEntry, BytesOfLaterVersionsAreSkipped) {
  RandomValues random(6);
  const TagEntry entry = random_entry(random);
  Bytes bytes = encode_tag_entry(entry);
  for (int value = 0; value < 256; ++value) {
    bytes.push_back(static_cast<uint8_t>(value));
    const auto decoded = decode_tag_entry(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(*decoded == entry);
  }
}

TEST(TagTable, TheShortestEntryFillsItsCount) {
  const std::vector<TagEntry> entries(1);
  const auto decoded = decode_tag_table(encode_tag_table(entries));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_TRUE(*decoded == entries);
}

TEST(TagTable, ReadsWhatItWroteAndNamesDamage) {
  RandomValues random(7);
  for (size_t count = 0; count < 5; ++count) {
    std::vector<TagEntry> entries;
    for (size_t i = 0; i < count; ++i) {
      entries.push_back(random_entry(random));
      entries.back().name.insert(0, 1, char('a' + i));
      entries.back().removed = false;
    }
    const Bytes bytes = encode_tag_table(entries);
    expect_read_back(entries, bytes, decode_tag_table);
    expect_cuts_refused(bytes, decode_tag_table);
    expect_appendices_refused(bytes, decode_tag_table);
    expect_changes_harmless(bytes, decode_tag_table, encode_tag_table);
  }
  expect_noise_survived({}, decode_tag_table, random);
}

TEST(TagTable, IsInNameOrderAndNamesNoRemovedTag) {
  std::vector<TagEntry> entries(2);
  entries[0].name = entries[1].name = "a";
  EXPECT_FALSE(decode_tag_table(encode_tag_table(entries))) << "twice";
  entries[0].name = "b";
  EXPECT_FALSE(decode_tag_table(encode_tag_table(entries))) << "out of order";
  entries[1].name = "c";
  EXPECT_TRUE(decode_tag_table(encode_tag_table(entries)));
  entries[1].removed = true;
  EXPECT_FALSE(decode_tag_table(encode_tag_table(entries)));
}

TEST(Root, TagTablesAreInNameOrder) {
  Root root;
  root.tables = {{{}, 1, 1, "b"}, {{}, 1, 1, "a"}};
  EXPECT_EQ(decode(encode_root(root)).error().code, Code::kCorrupt);
  std::swap(root.tables[0], root.tables[1]);
  EXPECT_TRUE(decode(encode_root(root)));
}

}  // namespace
}  // namespace cairn
