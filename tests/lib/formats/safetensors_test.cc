// Every malformed file that the format's own tests refuse, and more, with the word that must name
// it.
#include "lib/formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn {
namespace {

using ::testing::HasSubstr;

Result<SafetensorsHeader> parse(std::string_view header, uint64_t data_bytes = 0) {
  return parse_safetensors_header(as_bytes(header), data_bytes, "m.safetensors");
}

struct Case {
  const char* header;
  uint64_t data_bytes;
  const char* names;  ///< what the message must say
};

const Case kMalformed[] = {
    {"", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"[]", 0, "does not begin with '{'"},
    {"{", 0, "not valid JSON"},
    {"{}x", 0, "not valid JSON"},
    {"{\"a\": {}", 0, "lacks"},
    {"{\"__metadata__\": {}", 0, "not valid JSON"},
    {"{'a': 1}", 0, "not valid JSON"},
    {"{\"a\xff\": {}}", 0, "not valid JSON"},
    {R"({"a": null})", 0, "'a' is not an object"},
    {R"({"a": [1]})", 0, "'a' is not an object"},
    {R"({"a": {"dtype": "U8", "shape": [1]}})", 1, "lacks"},
    {R"({"a": {"dtype": "U8", "data_offsets": [0, 1]}})", 1, "lacks"},
    {R"({"a": {"shape": [1], "data_offsets": [0, 1]}})", 1, "lacks"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "more": 1}})", 1, "'more'"},
    {R"({"a": {"dtype": "u8", "shape": [1], "data_offsets": [0, 1]}})", 1, "dtype"},
    {R"({"a": {"dtype": 8, "shape": [1], "data_offsets": [0, 1]}})", 1, "dtype"},
    {R"({"a": {"dtype": "U8", "shape": 1, "data_offsets": [0, 1]}})", 1, "shape"},
    {R"({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}})", 1, "shape"},
    {R"({"a": {"dtype": "U8", "shape": [1.0], "data_offsets": [0, 1]}})", 1, "shape"},
    {R"({"a": {"dtype": "U8", "shape": ["1"], "data_offsets": [0, 1]}})", 1, "shape"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}})", 1, "data_offsets"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 2]}})", 1, "data_offsets"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [-1, 0]}})", 1, "data_offsets"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 0]}})", 1, "backwards"},
    {R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})", 1, "cut short"},
    {R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 1]}})", 1, "needs 2"},
    {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4, "needs 8"},
    {R"({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}})", 2, "'a'"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}})", 2, "1 bytes follow"},
    {R"({})", 1, "1 bytes follow"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}})", 2, "a hole"},
    {R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
           "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}})",
     3, "an overlap"},
    {R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
           "b": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})",
     2, "an overlap"},
    {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
           "b": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]}})",
     3, "a hole"},
    {R"({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
           "a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}})",
     0, "'a' is there twice"},
    {R"({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
           "\u0061": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}})",
     0, "'a' is there twice"},
    {R"({"a": {"dtype": "U8", "dtype": "I8", "shape": [0], "data_offsets": [0, 0]}})", 0,
     "'dtype' is there twice"},
    {R"({"__metadata__": {"k": "1", "k": "2"}})", 0, "'k' is there twice"},
    {R"({"__metadata__": {}, "__metadata__": {}})", 0, "twice"},
    {R"({"__metadata__": {"k": 1}})", 0, "'k' is not a string"},
    {R"({"__metadata__": {"k": null}})", 0, "'k' is not a string"},
    {R"({"__metadata__": []})", 0, "not an object"},
    {R"({"a": {"dtype": "U8", "shape": [9223372036854775807, 4], "data_offsets": [0, 1]}})", 1,
     "impossible"},
    {R"({"a": {"dtype": "F64", "shape": [2305843009213693952], "data_offsets": [0, 0]}})", 0,
     "impossible"},
    {R"({"a": {"dtype": "U8", "shape": [18446744073709551615, 2], "data_offsets": [0, 1]}})", 1,
     "impossible"},
    {R"({"a": {"dtype": "U8", "shape": [18446744073709551616], "data_offsets": [0, 1]}})", 1,
     "shape"},
    {R"({"a": {"dtype": "U8", "shape": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],
           "data_offsets": [0, 1]}})",
     1, "impossible"},
};

TEST(Safetensors, MalformedHeadersAreRefusedByName) {
  for (const Case& each : kMalformed) {
    const auto parsed = parse(each.header, each.data_bytes);
    ASSERT_FALSE(parsed) << each.header;
    EXPECT_EQ(parsed.error().code, Code::kUsage) << each.header;
    EXPECT_THAT(parsed.error().message, HasSubstr(each.names)) << each.header;
    EXPECT_THAT(parsed.error().message, HasSubstr("m.safetensors"));
  }
}

TEST(Safetensors, DeepNestingIsRefusedNotFollowed) {
  const std::string deep = R"({"a": )" + std::string(200000, '[');
  EXPECT_FALSE(parse(deep));
  std::string closed = R"({"a": )";
  for (int i = 0; i < 20000; ++i) closed += R"({"a":)";
  closed += "1" + std::string(20001, '}');
  EXPECT_FALSE(parse(closed));
  for (const std::string place : {"dtype", "shape", "data_offsets", "else"}) {
    std::string lists = R"({"a": {")" + place + R"(": )" + std::string(300000, '[');
    lists += std::string(300000, ']') + "}}";
    EXPECT_FALSE(parse(lists)) << place;
  }
}

TEST(Safetensors, ManyTensorsAreReadAndWrittenInNoTime) {
  std::vector<SafetensorsEntry> tensors(50000);
  for (size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].name = std::to_string(i);
    tensors[i].shape = {0};
  }
  const Bytes file = encode_safetensors_header(tensors, {});
  const auto parsed = parse(as_text(ByteSpan(file).subspan(8)));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->tensors.size(), tensors.size());
}

TEST(Safetensors, WhatIsAllowedIsTaken) {
  EXPECT_TRUE(parse("{}")->tensors.empty());
  EXPECT_TRUE(parse("{}   \n")) << "writers pad with spaces";
  const auto parsed = parse(R"({"__metadata__": {"format": "pt", "": ""},
      "scalar": {"dtype": "F64", "shape": [], "data_offsets": [4, 12]},
      "empty": {"dtype": "F32", "shape": [3, 0], "data_offsets": [4, 4]},
      "ä.☃": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}})",
                            12);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->metadata, (Metadata{{"format", "pt"}, {"", ""}}));
  ASSERT_EQ(parsed->tensors.size(), 3u);
  EXPECT_EQ(parsed->tensors[0].name, "ä.☃");
  EXPECT_EQ(parsed->tensors[1].name, "empty");
  EXPECT_EQ(parsed->tensors[2].shape, Shape{});
}

TEST(Safetensors, WrittenHeadersAreReadBack) {
  std::vector<SafetensorsEntry> entries;
  for (int code = 1; code <= 22; ++code) {
    const auto dtype = static_cast<Dtype>(code);
    entries.push_back({std::string("t\"\\\n.") + std::string(dtype_name(dtype)),
                       dtype,
                       {2, 4},
                       0,
                       uint64_t{bits_per_element(dtype)}});
  }
  sort_for_safetensors(entries);
  for (size_t i = 1; i < entries.size(); ++i) {
    EXPECT_GE(bits_per_element(entries[i - 1].dtype), bits_per_element(entries[i].dtype));
  }
  const Bytes file = encode_safetensors_header(entries, {{"k", "v"}});
  EXPECT_EQ(file.size() % 8, 0u) << "data stays aligned";
  EXPECT_EQ(load_le<uint64_t>(file), file.size() - 8);
  uint64_t data_bytes = 0;
  for (const SafetensorsEntry& entry : entries) data_bytes += entry.bytes;
  const auto parsed = parse_safetensors_header(ByteSpan(file).subspan(8), data_bytes, "m");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->metadata, (Metadata{{"k", "v"}}));
  ASSERT_EQ(parsed->tensors.size(), entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(parsed->tensors[i].name, entries[i].name);
    EXPECT_EQ(parsed->tensors[i].begin, entries[i].begin);
  }
}

Result<SafetensorsHeader> read(const Bytes& file) {
  return parse_safetensors(file, "m.safetensors");
}

TEST(SafetensorsFile, EveryTruncationAndEveryExtraByteIsRefused) {
  std::vector<SafetensorsEntry> entries{{"w", Dtype::kF32, {4}, 0, 16}};
  Bytes file = encode_safetensors_header(entries, {});
  file.resize(file.size() + 16, 7);
  ASSERT_TRUE(read(file));
  for (size_t length = 0; length < file.size(); ++length) {
    const auto cut = read(Bytes(file.begin(), file.begin() + static_cast<ptrdiff_t>(length)));
    ASSERT_FALSE(cut) << length;
    EXPECT_EQ(cut.error().code, Code::kUsage);
    EXPECT_THAT(cut.error().message, HasSubstr("m.safetensors"));
  }
  file.push_back(0);
  EXPECT_FALSE(read(file));
}

TEST(SafetensorsFile, LyingLengthsAreRefusedBeforeAnythingIsRead) {
  for (const uint64_t length :
       {uint64_t{100'000'001}, uint64_t{1} << 40, UINT64_MAX, uint64_t{9}}) {
    Bytes file;
    append_le(file, length);
    append_bytes(file, as_bytes("{}"));
    const auto parsed = read(file);
    ASSERT_FALSE(parsed) << length;
    EXPECT_THAT(parsed.error().message, HasSubstr("header"));
  }
}

TEST(SafetensorsFile, OtherFormatsAreRecognised) {
  const struct {
    std::string_view begin, advice;
  } kFiles[] = {{"PK\x03\x04 and more bytes", "torch"},
                {"\x80\x02 and more bytes", "torch"},
                {"GGUF and more bytes", "GGUF"},
                {"{\"a\": 1, \"b\": 2}", "--attach"},
                {"version https://git-lfs.github", "git lfs pull"}};
  for (const auto& [begin, advice] : kFiles) {
    const Bytes file(as_bytes(begin).begin(), as_bytes(begin).end());
    const auto parsed = read(file);
    ASSERT_FALSE(parsed) << begin;
    EXPECT_THAT(parsed.error().hint, HasSubstr(advice));
  }
}

}  // namespace
}  // namespace cairn
