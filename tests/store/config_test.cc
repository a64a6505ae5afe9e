// The file `config`: bounds, damage, and the two ways in which a newer store says so.
#include "store/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "store/sealed_json.h"
#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const Features& features) {
  const auto& [read, write, collect] = features;
  return std::tie(read, write, collect);
}
static auto fields(const Config& config) {
  const auto& [store_id, created, chunk_elements, opaque_chunk_bytes, pack_bytes, features] =
      config;
  return std::tie(store_id, created, chunk_elements, opaque_chunk_bytes, pack_bytes, features);
}

namespace {

using nlohmann::json;

Result<Config> decode(ByteSpan text) { return decode_config(text, "s/config"); }

Config random_config(RandomValues& random) {
  Config config;
  config.store_id = random.session();
  config.created = random.text(30);
  config.chunk_elements = kChunkElementsMin << random.below(15);
  if (random.coin()) {
    config.opaque_chunk_bytes = 256 + 16 * random.below((uint64_t{1} << 24) - 15);
  } else {
    config.features.read.clear();
    config.opaque_chunk_bytes = 1 + random.below(kGiB);
  }
  config.pack_bytes = kPackBytesMin + random.below(kPackBytesMax - kPackBytesMin + 1);
  for (uint64_t i = random.below(3); i > 0; --i) config.features.write.push_back(random.text(9));
  for (uint64_t i = random.below(3); i > 0; --i) config.features.collect.push_back(random.text(9));
  return config;
}

/// A config of which one member is replaced, sealed anew.
std::string with_member(const char* key, const json& value) {
  json object = *unseal_json(as_bytes(encode_config(Config{})), "");
  object[key] = value;
  return seal_json(object);
}

TEST(Config, ReadsWhatItWrote) {
  RandomValues random(1);
  for (int i = 0; i < 300; ++i) {
    const Config config = random_config(random);
    ASSERT_TRUE(check_config(config).has_value());
    const auto decoded = decode(as_bytes(encode_config(config)));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(*decoded == config) << encode_config(config);
  }
}

TEST(Config, ValuesOutOfBoundsAreRefusedBeforeWritingAndAfterReading) {
  const struct {
    uint64_t chunk_elements, opaque_chunk_bytes, pack_bytes;
    bool good;
  } kTable[] = {
      {1024, 1, kMiB, true},
      {uint64_t{1} << 24, kGiB, 64 * kGiB, true},
      {0, 1, kMiB, false},
      {512, 1, kMiB, false},
      {1025, 1, kMiB, false},
      {uint64_t{1} << 25, 1, kMiB, false},
      {UINT64_MAX, 1, kMiB, false},
      {1024, 0, kMiB, false},
      {1024, kGiB + 1, kMiB, false},
      {1024, 1, kMiB - 1, false},
      {1024, 1, 64 * kGiB + 1, false},
      {1024, 1, 0, false},
  };
  for (const auto& row : kTable) {
    Config config;
    config.chunk_elements = row.chunk_elements;
    config.opaque_chunk_bytes = row.opaque_chunk_bytes;
    config.features.read.clear();
    config.pack_bytes = row.pack_bytes;
    const Status status = check_config(config);
    const auto decoded = decode(as_bytes(encode_config(config)));
    ASSERT_EQ(status.has_value(), row.good);
    ASSERT_EQ(decoded.has_value(), row.good);
    if (row.good) continue;
    EXPECT_EQ(status.error().code, Code::kUsage);
    EXPECT_EQ(decoded.error().code, Code::kCorrupt);
  }
}

TEST(Config, ContentCutsNeedAnAverageThatCanBeCut) {
  for (const uint64_t bytes : {256, 272, 4096, 1 << 20, 1 << 28}) {
    Config config;
    config.opaque_chunk_bytes = bytes;
    EXPECT_TRUE(check_config(config)) << bytes;
    EXPECT_TRUE(has_content_cuts(*decode(as_bytes(encode_config(config)))));
    EXPECT_EQ(attachment_chunk_bytes_max(config), 4 * bytes);
    config.features = {};
    EXPECT_EQ(attachment_chunk_bytes_max(config), bytes);
  }
  for (const uint64_t bytes : {1, 240, 1000, (1 << 28) + 16, 1 << 30}) {
    Config config;
    config.opaque_chunk_bytes = bytes;
    EXPECT_EQ(check_config(config).error().code, Code::kUsage) << bytes;
    EXPECT_EQ(decode(as_bytes(encode_config(config))).error().code, Code::kCorrupt) << bytes;
  }
}

TEST(Config, TheLongestChunkIsATensorsOrAnAttachments) {
  Config config;
  EXPECT_EQ(chunk_bytes_max(config), 4 * kMiB);
  config.chunk_elements = 1024;
  EXPECT_EQ(chunk_bytes_max(config), kMiB);
  config.opaque_chunk_bytes = 256;
  EXPECT_EQ(chunk_bytes_max(config), 8192u);
}

TEST(Config, DamageIsNamed) {
  const std::string text = encode_config(Config{});
  const Bytes bytes(text.begin(), text.end());
  expect_cuts_refused(bytes, decode);
  expect_appendices_refused(bytes, decode);
  expect_changes_refused(bytes, decode);
  RandomValues random(2);
  expect_noise_survived({}, decode, random);
  EXPECT_NE(decode(Bytes(300)).error().message.find("'s/config'"), std::string::npos);
}

TEST(Config, WrongMembersUnderAGoodSealAreDamage) {
  const struct {
    const char* key;
    json value;
  } kTable[] = {
      {"format", 0},           {"format", -1},         {"format", "1"},
      {"format", nullptr},     {"store_id", "abc"},    {"store_id", 5},
      {"chunk_elements", "x"}, {"chunk_elements", -8}, {"opaque_chunk_bytes", nullptr},
      {"pack_bytes", 1.5e9},
  };
  for (const auto& row : kTable) {
    const auto decoded = decode(as_bytes(with_member(row.key, row.value)));
    ASSERT_FALSE(decoded.has_value()) << row.key << " = " << row.value;
    EXPECT_EQ(decoded.error().code, Code::kCorrupt) << row.key << " = " << row.value;
  }
}

TEST(Config, MembersOfNoMeaningAreSkipped) {
  EXPECT_TRUE(decode(as_bytes(with_member("note", "by hand"))).has_value());
}

TEST(Config, NewerFormatIsTold) {
  for (const uint64_t format : {uint64_t{2}, uint64_t{1000}, UINT64_MAX}) {
    const std::string text = with_member("format", format);
    for (const std::string& each : {text, text.substr(0, text.find(",\"blake3")) + "}",
                                    "{\"format\": " + std::to_string(format) + "}"}) {
      const auto decoded = decode(as_bytes(each));
      ASSERT_FALSE(decoded.has_value()) << each;
      EXPECT_EQ(decoded.error().code, Code::kNewerFormat) << each;
      EXPECT_FALSE(decoded.error().hint.empty());
    }
  }
}

TEST(Config, UnknownFeaturesStopOnlyWhatNeedsThem) {
  Config config;
  config.features.read = {"tiers"};
  const auto unreadable = decode(as_bytes(encode_config(config)));
  ASSERT_FALSE(unreadable.has_value());
  EXPECT_EQ(unreadable.error().code, Code::kNewerFormat);
  EXPECT_NE(unreadable.error().message.find("'tiers'"), std::string::npos);

  config.features = {{}, {"locks"}, {"marks"}};
  const auto readable = decode(as_bytes(encode_config(config)));
  ASSERT_TRUE(readable.has_value()) << readable.error().message;
  const Status status = check_may_write(*readable);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::kNewerFormat);
  EXPECT_NE(status.error().message.find("'locks'"), std::string::npos);

  config.features = {{}, {}, {"marks"}};
  EXPECT_TRUE(check_may_write(*decode(as_bytes(encode_config(config)))).has_value());
}

TEST(Config, FeaturesThatAreNoNamesStillStopTheReader) {
  const auto decoded = decode(as_bytes(with_member("features", {{"read", json::array({7})}})));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, Code::kNewerFormat);
}

}  // namespace
}  // namespace cairn
