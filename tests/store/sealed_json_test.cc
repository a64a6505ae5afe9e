// Sealed JSON: the object comes back, and no byte of the line can change unseen.
#include "store/sealed_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {
namespace {

using nlohmann::json;

Result<json> decode(ByteSpan text) { return unseal_json(text, "'s/config'"); }

Bytes bytes_of(std::string_view text) {
  const ByteSpan bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

/// Any text under a seal that fits it.
Bytes sealed(std::string_view body) {
  return bytes_of(std::string(body) + ",\"blake3\":\"" + blake3(as_bytes(body)).hex() + "\"}\n");
}

json random_object(RandomValues& random, int depth) {
  json object = json::object();
  for (uint64_t i = 0, count = 1 + random.below(4); i < count; ++i) {
    json& member = object["k" + random.text(8)];
    switch (random.below(depth == 0 ? 4 : 6)) {
      case 0:
        member = random.number<uint64_t>();
        break;
      case 1:
        member = random.number<int64_t>();
        break;
      case 2:
        member = random.text(20) + "\"\\\n\x01\xc3\xa9";
        break;
      case 3:
        member = nullptr;
        break;
      case 4:
        member = json::array({random.coin(), random.text(3)});
        break;
      default:
        member = random_object(random, depth - 1);
    }
  }
  return object;
}

TEST(SealedJson, NestsNoDeeperThanAnythingOfOurs) {
  const auto nested = [](int depth) {
    return sealed("{\"k\":" + std::string(depth, '[') + "\"[\\\"[[\"" + std::string(depth, ']'));
  };
  EXPECT_TRUE(decode(nested(15)));
  const auto refused = decode(nested(1 << 20));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kCorrupt);
  EXPECT_TRUE(parse_json("[\"" + std::string(99, '[') + "\"]").is_array()) << "in a string";
}

TEST(SealedJson, UnsealsWhatItSealed) {
  RandomValues random(1);
  for (int i = 0; i < 300; ++i) {
    const json object = random_object(random, 3);
    const std::string text = seal_json(object);
    const auto decoded = decode(as_bytes(text));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(*decoded, object);
    EXPECT_EQ(text.find('\n'), text.size() - 1) << "one line";
    const json plain = json::parse(text, nullptr, false);
    ASSERT_TRUE(plain.is_object()) << "other tools read it too";
    EXPECT_EQ(plain.size(), object.size() + 1);
  }
}

TEST(SealedJson, DamageIsNamed) {
  const Bytes bytes = bytes_of(seal_json(json{{"a", 1}, {"b", "two"}}));
  expect_cuts_refused(bytes, decode);
  expect_appendices_refused(bytes, decode);
  expect_changes_refused(bytes, decode);
  EXPECT_NE(decode(Bytes(100)).error().message.find("'s/config'"), std::string::npos);
}

TEST(SealedJson, NoiseDoesNotCrashIt) {
  RandomValues random(2);
  expect_noise_survived({}, decode, random);
  expect_noise_survived(as_bytes("{\"a\":"), decode, random);
}

TEST(SealedJson, AGoodSealDoesNotMakeAnObject) {
  for (const std::string_view body :
       {"", "[1", "{\"a\":1}", "{\"a\":", "1", "null", "{\"a\":\"\xff\"", "{\"a\":1e999"}) {
    const auto decoded = decode(sealed(body));
    ASSERT_FALSE(decoded.has_value()) << body;
    EXPECT_EQ(decoded.error().code, Code::kCorrupt) << body;
  }
  EXPECT_TRUE(decode(sealed("{\"a\":1")).has_value());
}

TEST(SealedJson, DeepNestingDoesNotExhaustTheStack) {
  EXPECT_FALSE(decode(sealed("{\"a\":" + std::string(1'000'000, '['))).has_value());
}

TEST(SealedJson, BytesThatAreNoTextAreReplaced) {
  const auto decoded = decode(as_bytes(seal_json(json{{"a", "x\xff"}})));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ((*decoded)["a"], "x\xef\xbf\xbd");
}

}  // namespace
}  // namespace cairn
