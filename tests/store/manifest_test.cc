// Manifests: what is written is read, and equal checkpoints have equal bytes.
#include "store/manifest.h"

#include <gtest/gtest.h>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const AttachmentInfo& attachment) {
  const auto& [name, bytes, edges] = attachment;
  return std::tie(name, bytes, edges);
}
static auto fields(const Manifest& manifest) {
  const auto& [step, schema, metadata, file_metadata, attachments, pages] = manifest;
  return std::tie(step, schema, metadata, file_metadata, attachments, pages);
}

namespace {

Metadata random_metadata(RandomValues& random, uint64_t entries_max) {
  Metadata metadata;
  for (uint64_t i = random.below(entries_max + 1); i > 0; --i) {
    metadata[random.text(20)] = random.text(80);
  }
  return metadata;
}

std::vector<uint64_t> random_ends(RandomValues& random, uint64_t chunks_max) {
  std::vector<uint64_t> ends(random.below(chunks_max + 1));
  uint64_t end = 0;
  for (uint64_t& each : ends) each = end += 1 + random.below(UINT32_MAX);
  return ends;
}

void tell_edges(AttachmentInfo& attachment, std::vector<uint64_t> ends) {
  attachment.bytes = ends.empty() ? 0 : ends.back();
  attachment.edges = ChunkEdges::told(std::move(ends));
}

Manifest random_manifest(RandomValues& random, uint64_t records_max) {
  Manifest manifest;
  if (random.coin()) manifest.step = random.number<int64_t>();
  manifest.schema = random.digest();
  manifest.metadata = random_metadata(random, records_max);
  manifest.file_metadata = random_metadata(random, records_max);
  manifest.attachments.resize(random.below(records_max + 1));
  const bool tells_edges = random.coin();
  for (size_t i = 0; i < manifest.attachments.size(); ++i) {
    AttachmentInfo& attachment = manifest.attachments[i];
    attachment.name = std::string(i, '~') + "!" + random.text(40);
    if (tells_edges) {
      tell_edges(attachment, random_ends(random, records_max));
    } else {
      attachment.bytes = random.number<uint64_t>();
    }
  }
  manifest.pages.resize(random.below(records_max + 1));
  for (Digest& page : manifest.pages) page = random.digest();
  return manifest;
}

TEST(Manifest, AttachmentsAreInOrder) {
  Manifest manifest;
  manifest.attachments = {{"a", 1}, {"b", 2}};
  EXPECT_TRUE(decode_manifest(encode_manifest(manifest)));
  manifest.attachments[1].name = "a";
  EXPECT_EQ(decode_manifest(encode_manifest(manifest)).error().code, Code::kCorrupt);
  manifest.attachments[1].name = "Z";
  EXPECT_EQ(decode_manifest(encode_manifest(manifest)).error().code, Code::kCorrupt);
}

TEST(Manifest, UnknownFlagsAreRefused) {
  Bytes bytes = encode_manifest({});
  bytes[8] = 2;
  EXPECT_EQ(decode_manifest(bytes).error().code, Code::kCorrupt);
}

TEST(Manifest, ReadsWhatItWrote) {
  RandomValues random(1);
  for (size_t i = 0; i < 300; ++i) {
    const Manifest manifest = random_manifest(random, i % 9);
    expect_read_back(manifest, encode_manifest(manifest), decode_manifest);
  }
}

TEST(Manifest, StepZeroAndNoStepDiffer) {
  Manifest none, zero;
  zero.step = 0;
  EXPECT_NE(encode_manifest(none), encode_manifest(zero));
  EXPECT_EQ(decode_manifest(encode_manifest(none))->step, std::nullopt);
  EXPECT_EQ(decode_manifest(encode_manifest(zero))->step, 0);
}

TEST(Manifest, SectionsOfMetadataAreKeptApart) {
  Manifest user, file;
  user.metadata["k"] = "v";
  file.file_metadata["k"] = "v";
  EXPECT_NE(encode_manifest(user), encode_manifest(file));
  EXPECT_TRUE(*decode_manifest(encode_manifest(user)) == user);
  EXPECT_TRUE(*decode_manifest(encode_manifest(file)) == file);
}

TEST(Manifest, LongAndBinaryTextsAreKept) {
  Manifest manifest;
  manifest.metadata[""] = "";
  manifest.metadata[std::string("\0\n", 2)] = std::string(100'000, '\xff');
  manifest.attachments = {{std::string(65535, 'a'), 1}};
  const auto decoded = decode_manifest(encode_manifest(manifest));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_TRUE(*decoded == manifest);
}

TEST(Manifest, DamageIsNamedOrHarmless) {
  RandomValues random(2);
  Manifest larger = random_manifest(random, 3);
  larger.metadata["key"] = "value";
  larger.file_metadata["key"] = "value";
  larger.attachments = {{"a.json", 12}};
  Manifest cut = larger;
  tell_edges(cut.attachments[0], {7, 12});
  for (const Manifest& manifest : {Manifest{}, larger, cut}) {
    const Bytes bytes = encode_manifest(manifest);
    expect_cuts_refused(bytes, decode_manifest);
    expect_appendices_refused(bytes, decode_manifest);
    expect_changes_harmless(bytes, decode_manifest, encode_manifest);
  }
  expect_noise_survived({}, decode_manifest, random);
  expect_noise_survived(ByteSpan(encode_manifest(Manifest{})).first(8), decode_manifest, random);
}

TEST(Manifest, ImpossibleNumbersAreRefused) {
  const struct {
    size_t offset;
    uint32_t value;
    Code code;
  } kTable[] = {
      {0, 0, Code::kCorrupt},           {4, 0, Code::kCorrupt},
      {4, 3, Code::kNewerFormat},       {4, UINT32_MAX, Code::kNewerFormat},
      {4, 2, Code::kCorrupt},           {12, 1, Code::kCorrupt},
      {12, UINT32_MAX, Code::kCorrupt}, {16, 1, Code::kCorrupt},
      {16, UINT32_MAX, Code::kCorrupt}, {20, 1, Code::kCorrupt},
      {20, UINT32_MAX, Code::kCorrupt},
  };
  for (const auto& row : kTable) {
    Bytes bytes = encode_manifest(Manifest{});
    store_le(bytes, row.offset, row.value);
    const auto decoded = decode_manifest(bytes);
    ASSERT_FALSE(decoded.has_value()) << row.offset << ": " << row.value;
    EXPECT_EQ(decoded.error().code, row.code) << decoded.error().message;
  }
}

TEST(Manifest, AttachmentsTellHowTheyAreCut) {
  Manifest manifest;
  manifest.attachments.resize(3);
  for (size_t i = 0; i < 3; ++i) manifest.attachments[i].name = std::string(1, 'a' + char(i));
  tell_edges(manifest.attachments[0], {5, 9, 4'000'000'000, 8'000'000'000});
  tell_edges(manifest.attachments[1], {});
  tell_edges(manifest.attachments[2], {1});
  const auto decoded = decode_manifest(encode_manifest(manifest));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_TRUE(*decoded == manifest);
  EXPECT_EQ(decoded->attachments[0].edges.length(3), 4'000'000'000u);
}

TEST(Manifest, ChunkLengthsMustMakeUpTheirAttachment) {
  Manifest manifest;
  manifest.attachments = {{"a", 0}};
  tell_edges(manifest.attachments[0], {5, 9});
  const Bytes good = encode_manifest(manifest);
  // At the end: the length, the count and two chunk lengths.
  const size_t length = good.size() - 24, count = good.size() - 16, first = good.size() - 8;
  const auto refuses = [&](size_t offset, auto value, std::string_view words) {
    Bytes bytes = good;
    store_le(bytes, offset, value);
    const auto decoded = decode_manifest(bytes);
    ASSERT_FALSE(decoded.has_value()) << words;
    EXPECT_EQ(decoded.error().code, Code::kCorrupt);
    EXPECT_NE(decoded.error().message.find(words), std::string::npos) << decoded.error().message;
  };
  refuses(length, uint64_t{10}, "do not make up");
  refuses(length, uint64_t{0}, "do not make up");
  refuses(length, UINT64_MAX, "do not make up");
  refuses(first, uint32_t{4}, "do not make up");
  refuses(first, UINT32_MAX, "do not make up");
  refuses(first, uint32_t{0}, "an empty chunk");
  refuses(count, uint64_t{1}, "do not make up");
  refuses(count, uint64_t{0}, "do not make up");
  refuses(count, uint64_t{3}, "more records than it holds");
  refuses(count, UINT64_MAX, "more records than it holds");
}

TEST(Manifest, UnknownSectionsAreRefused) {
  Manifest manifest;
  manifest.metadata["k"] = "v";
  Bytes bytes = encode_manifest(manifest);
  bytes[64] = 2;
  EXPECT_EQ(decode_manifest(bytes).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace cairn
