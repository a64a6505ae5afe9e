// Layouts: boxes and roles come back, and a tensor that writer 0 held whole costs no box.
#include "store/layout.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const LayoutBox& box) {
  const auto& [writer, offsets, lengths] = box;
  return std::tie(writer, offsets, lengths);
}
static auto fields(const TensorLayout& tensor) {
  const auto& [role, parameter, boxes] = tensor;
  return std::tie(role, parameter, boxes);
}
static auto fields(const Layout& layout) {
  const auto& [writers, tensors] = layout;
  return std::tie(writers, tensors);
}

namespace {

Schema random_schema(RandomValues& random, size_t tensor_count) {
  Schema schema;
  schema.chunk_elements = 1024;
  for (size_t i = 0; i < tensor_count; ++i) {
    TensorInfo& tensor = schema.tensors.emplace_back();
    tensor.name = "t" + std::to_string(i);
    tensor.shape.resize(random.below(kRankMax + 1));
    for (uint64_t& length : tensor.shape) length = random.number<uint64_t>();
  }
  return schema;
}

LayoutBox whole(const TensorInfo& tensor) {
  return {0, std::vector<uint64_t>(tensor.shape.size(), 0), tensor.shape};
}

Layout random_layout(RandomValues& random, const Schema& schema) {
  Layout layout;
  layout.writers = random.number<uint32_t>();
  for (const TensorInfo& info : schema.tensors) {
    TensorLayout& tensor = layout.tensors.emplace_back();
    tensor.role = static_cast<Role>(random.below(8));
    tensor.parameter = random.text(30);
    tensor.boxes.resize(random.below(5));
    for (LayoutBox& box : tensor.boxes) {
      box.writer = random.number<uint32_t>();
      for (size_t axis = 0; axis < info.shape.size(); ++axis) {
        box.offsets.push_back(random.number<uint64_t>());
        box.lengths.push_back(random.number<uint64_t>());
      }
    }
    if (tensor.boxes.empty()) tensor.boxes = {whole(info)};
  }
  return layout;
}

/// A tensor of 2 axes, held by 2 writers.
const Schema kSchema{1024, {{"a", 1, {8, 6}, 1}}};
const Layout kHalves{2, {{Role::kMaster, "a.weight", {{0, {0, 0}, {4, 6}}, {1, {4, 0}, {4, 6}}}}}};

Result<Layout> decode(ByteSpan bytes) { return decode_layout(bytes, kSchema); }
Bytes encode(const Layout& layout) { return encode_layout(layout, kSchema); }

TEST(Layout, ReadsWhatItWrote) {
  RandomValues random(1);
  for (size_t i = 0; i < 300; ++i) {
    const Schema schema = random_schema(random, i % 20);
    const Layout layout = random_layout(random, schema);
    expect_read_back(layout, encode_layout(layout, schema),
                     [&](ByteSpan bytes) { return decode_layout(bytes, schema); });
  }
}

TEST(Layout, WholeTensorsOfWriter0CostNoBox) {
  const struct {
    LayoutBox box;
    bool is_short;
  } kTable[] = {
      {{0, {0, 0}, {8, 6}}, true},  {{1, {0, 0}, {8, 6}}, false}, {{0, {1, 0}, {8, 6}}, false},
      {{0, {0, 1}, {8, 6}}, false}, {{0, {0, 0}, {7, 6}}, false}, {{0, {0, 0}, {8, 5}}, false},
  };
  for (const auto& row : kTable) {
    const Layout layout{1, {{Role::kNone, "", {row.box}}}};
    const Bytes bytes = encode(layout);
    EXPECT_EQ(bytes.size(), 16u + 8 + (row.is_short ? 0 : 36));
    const auto decoded = decode(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(*decoded == layout);
  }
}

TEST(Layout, DamageIsNamedOrHarmless) {
  const Bytes bytes = encode(kHalves);
  expect_cuts_refused(bytes, decode);
  expect_appendices_refused(bytes, decode);
  expect_changes_harmless(bytes, decode, encode);
  RandomValues random(2);
  expect_noise_survived({}, decode, random);
  expect_noise_survived(ByteSpan(bytes).first(16), decode, random);
}

TEST(Layout, ImpossibleNumbersAreRefused) {
  const Bytes whole_bytes = encode(kHalves);
  const size_t box_count_at = 16 + 4 + kHalves.tensors[0].parameter.size();
  const struct {
    size_t offset;
    uint32_t value;
    Code code;
  } kTable[] = {
      {0, 0, Code::kCorrupt},
      {4, 0, Code::kCorrupt},
      {4, 2, Code::kNewerFormat},
      {4, UINT32_MAX, Code::kNewerFormat},
      {12, 0, Code::kCorrupt},
      {12, 2, Code::kCorrupt},
      {12, UINT32_MAX, Code::kCorrupt},
      {box_count_at, 0, Code::kCorrupt},
      {box_count_at, 3, Code::kCorrupt},
      {box_count_at, UINT32_MAX, Code::kCorrupt},
  };
  for (const auto& row : kTable) {
    Bytes bytes = whole_bytes;
    store_le(bytes, row.offset, row.value);
    const auto decoded = decode(bytes);
    ASSERT_FALSE(decoded.has_value()) << row.offset << ": " << row.value;
    EXPECT_EQ(decoded.error().code, row.code) << decoded.error().message;
  }
}

TEST(Layout, TheLayoutOfAnotherSchemaIsRefused) {
  const Bytes bytes = encode(kHalves);
  EXPECT_EQ(decode_layout(bytes, Schema{}).error().code, Code::kCorrupt);
  EXPECT_EQ(decode(encode_layout(Layout{}, Schema{})).error().code, Code::kCorrupt);
  const Schema flat{1024, {{"a", 1, {48}, 1}}};
  EXPECT_EQ(decode_layout(bytes, flat).error().code, Code::kCorrupt);
}

TEST(Layout, RolesHaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (uint8_t role = 0; role < 8; ++role) names.insert(role_name(static_cast<Role>(role)));
  EXPECT_EQ(names.size(), 8u);
  EXPECT_EQ(role_name(static_cast<Role>(200)), "other");
}

}  // namespace
}  // namespace cairn
