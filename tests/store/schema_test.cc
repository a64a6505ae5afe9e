// Schemas: what is written is read; order, ranks and counts that cannot be are refused.
#include "store/schema.h"

#include <gtest/gtest.h>

#include "store/config.h"
#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const TensorInfo& tensor) {
  const auto& [name, dtype, shape, chunk_count] = tensor;
  return std::tie(name, dtype, shape, chunk_count);
}
static auto fields(const Schema& schema) {
  const auto& [chunk_elements, tensors] = schema;
  return std::tie(chunk_elements, tensors);
}

namespace {

Schema random_schema(RandomValues& random, size_t tensors_max) {
  Schema schema;
  schema.chunk_elements = kChunkElementsMin << random.below(15);
  std::string name;
  for (size_t i = random.below(tensors_max + 1); i > 0; --i) {
    name = "t" + std::to_string(1000 + schema.tensors.size()) + random.text(30);
    TensorInfo& tensor = schema.tensors.emplace_back();
    tensor.name = name;
    tensor.dtype = random.number<uint8_t>();
    tensor.shape.resize(random.below(kRankMax + 1));
    for (uint64_t& length : tensor.shape) length = random.number<uint64_t>();
    tensor.chunk_count = random.number<uint64_t>();
  }
  return schema;
}

Schema of_names(const std::vector<std::string>& names) {
  Schema schema;
  schema.chunk_elements = 1024;
  for (const std::string& name : names) schema.tensors.push_back({name, 1, {2, 3}, 1});
  return schema;
}

TEST(Schema, ReadsWhatItWrote) {
  RandomValues random(1);
  for (size_t i = 0; i < 300; ++i) {
    const Schema schema = random_schema(random, i % 12);
    expect_read_back(schema, encode_schema(schema), decode_schema);
  }
}

TEST(Schema, NamesOfEveryLengthAndByte) {
  const Schema schema =
      of_names({std::string("\0", 1), "a", "a b", std::string(65535, 'b'), "\xc3\xa9", "\xff\xfe"});
  const auto decoded = decode_schema(encode_schema(schema));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_TRUE(*decoded == schema);
}

TEST(Schema, DamageIsNamedOrHarmless) {
  RandomValues random(2);
  Schema larger = of_names({"a", "b", "c"});
  larger.tensors[1].shape.assign(kRankMax, 7);
  larger.tensors[2].shape.clear();
  for (const Schema& schema : {of_names({}), larger, random_schema(random, 6)}) {
    const Bytes bytes = encode_schema(schema);
    expect_cuts_refused(bytes, decode_schema);
    expect_appendices_refused(bytes, decode_schema);
    expect_changes_harmless(bytes, decode_schema, encode_schema);
  }
  expect_noise_survived({}, decode_schema, random);
  expect_noise_survived(ByteSpan(encode_schema(of_names({}))).first(16), decode_schema, random);
}

TEST(Schema, NamesOutOfOrderOrTwiceAreRefused) {
  for (const auto& names : std::vector<std::vector<std::string>>{
           {"b", "a"}, {"a", "a"}, {"a", "c", "b"}, {"a", "A"}, {"ab", "a"}, {"\xff", "a"}}) {
    const auto decoded = decode_schema(encode_schema(of_names(names)));
    ASSERT_FALSE(decoded.has_value()) << names[0];
    EXPECT_EQ(decoded.error().code, Code::kCorrupt);
    EXPECT_NE(decoded.error().message.find("order"), std::string::npos);
  }
}

TEST(Schema, ImpossibleNumbersAreRefused) {
  const struct {
    size_t offset;
    uint32_t value;
    Code code;
  } kTable[] = {
      {0, 0, Code::kCorrupt},           {4, 0, Code::kCorrupt},
      {4, 2, Code::kNewerFormat},       {4, UINT32_MAX, Code::kNewerFormat},
      {8, 25, Code::kCorrupt},          {8, 63, Code::kCorrupt},
      {8, 64, Code::kCorrupt},          {8, UINT32_MAX, Code::kCorrupt},
      {16, 3, Code::kCorrupt},          {16, UINT32_MAX, Code::kCorrupt},
      {20, UINT32_MAX, Code::kCorrupt},
  };
  for (const auto& row : kTable) {
    Bytes bytes = encode_schema(of_names({"a", "b"}));
    store_le(bytes, row.offset, row.value);
    const auto decoded = decode_schema(bytes);
    ASSERT_FALSE(decoded.has_value()) << row.offset << ": " << row.value;
    EXPECT_EQ(decoded.error().code, row.code) << decoded.error().message;
  }
}

TEST(Schema, MoreThan16AxesAreRefused) {
  Schema schema = of_names({"a"});
  schema.tensors[0].shape.assign(kRankMax + 1, 1);
  EXPECT_EQ(decode_schema(encode_schema(schema)).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace cairn
