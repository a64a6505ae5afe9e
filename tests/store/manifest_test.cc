// Manifests: what is written is read, and equal checkpoints have equal bytes.
#include "store/manifest.h"

#include <gtest/gtest.h>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const AttachmentInfo& attachment) {
  const auto& [name, bytes] = attachment;
  return std::tie(name, bytes);
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

Manifest random_manifest(RandomValues& random, uint64_t records_max) {
  Manifest manifest;
  if (random.coin()) manifest.step = random.number<int64_t>();
  manifest.schema = random.digest();
  manifest.metadata = random_metadata(random, records_max);
  manifest.file_metadata = random_metadata(random, records_max);
  manifest.attachments.resize(random.below(records_max + 1));
  for (size_t i = 0; i < manifest.attachments.size(); ++i) {
    const std::string in_order(i, '~');
    manifest.attachments[i] = {in_order + "!" + random.text(40), random.number<uint64_t>()};
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
  for (const Manifest& manifest : {Manifest{}, larger}) {
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
      {0, 0, Code::kCorrupt},     {4, 0, Code::kCorrupt},
      {4, 2, Code::kNewerFormat}, {4, UINT32_MAX, Code::kNewerFormat},
      {12, 1, Code::kCorrupt},    {12, UINT32_MAX, Code::kCorrupt},
      {16, 1, Code::kCorrupt},    {16, UINT32_MAX, Code::kCorrupt},
      {20, 1, Code::kCorrupt},    {20, UINT32_MAX, Code::kCorrupt},
  };
  for (const auto& row : kTable) {
    Bytes bytes = encode_manifest(Manifest{});
    store_le(bytes, row.offset, row.value);
    const auto decoded = decode_manifest(bytes);
    ASSERT_FALSE(decoded.has_value()) << row.offset << ": " << row.value;
    EXPECT_EQ(decoded.error().code, row.code) << decoded.error().message;
  }
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
