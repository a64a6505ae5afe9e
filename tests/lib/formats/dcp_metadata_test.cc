// What is written is read; what PyTorch writes and reads is for tests/python.
#include "lib/formats/dcp_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

using ::testing::HasSubstr;

DcpMetadata a_metadata() {
  DcpMetadata made;
  DcpItem tensor{.key = "model.w", .is_tensor = true, .dtype = Dtype::kBF16, .shape = {4, 6}};
  tensor.pieces = {{{{0, 0}, {2, 6}}, {"__0_0.distcp", 0, 100}},
                   {{{2, 0}, {2, 6}}, {"__1_0.distcp", uint64_t{5} << 32, 100}}};
  tensor.requires_grad = true;
  tensor.memory_format = 1;
  DcpItem scalar{.key = "s", .is_tensor = true, .dtype = Dtype::kF32, .shape = {}};
  scalar.pieces = {{{{}, {}}, {"__0_0.distcp", 200, 50}}};
  DcpItem value{.key = "step"};
  value.value = {"__0_0.distcp", 100, 100};
  made.items = {tensor, value, scalar};
  made.paths = {{"model.w", {"model", "w"}}, {"step", {"step"}}, {"s", {"list", 0}}};
  return made;
}

TEST(DcpMetadata, ThereAndBack) {
  const DcpMetadata metadata = a_metadata();
  const auto encoded = encode_dcp_metadata(metadata);
  ASSERT_TRUE(encoded);
  const auto read = parse_dcp_metadata(*encoded, ".metadata");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->items.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    const DcpItem &was = metadata.items[i], &now = read->items[i];
    EXPECT_EQ(now.key, was.key);
    EXPECT_EQ(now.is_tensor, was.is_tensor);
    EXPECT_EQ(now.shape, was.shape);
    EXPECT_EQ(now.requires_grad, was.requires_grad);
    EXPECT_EQ(now.memory_format, was.memory_format);
    EXPECT_EQ(now.value.bytes, was.value.bytes);
    ASSERT_EQ(now.pieces.size(), was.pieces.size());
    for (size_t j = 0; j < was.pieces.size(); ++j) {
      EXPECT_EQ(now.pieces[j].box, was.pieces[j].box);
      EXPECT_EQ(now.pieces[j].place.file, was.pieces[j].place.file);
      EXPECT_EQ(now.pieces[j].place.offset, was.pieces[j].place.offset);
    }
  }
  EXPECT_EQ(read->paths, metadata.paths);
  EXPECT_TRUE(read->planner_data.is_null());
}

TEST(DcpMetadata, OtherPlannersData) {
  DcpMetadata metadata = a_metadata();
  metadata.paths.clear();
  metadata.planner_data =
      nlohmann::json::parse(R"({"dict":[["a",{"tuple":[1,{"list":[true,null]}]}],[2,"x"]]})");
  const auto read = parse_dcp_metadata(encode_dcp_metadata(metadata).value(), ".metadata");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->planner_data, metadata.planner_data);
  metadata.planner_data = nlohmann::json::parse(R"({"other":3})");
  EXPECT_FALSE(encode_dcp_metadata(metadata));
}

TEST(DcpMetadata, PlacesOutsideTheFolder) {
  for (const char* file : {"../x", "/etc/passwd", ""}) {
    DcpMetadata metadata = a_metadata();
    metadata.items[1].value.file = file;
    const auto read = parse_dcp_metadata(encode_dcp_metadata(metadata).value(), "m");
    ASSERT_FALSE(read) << file;
    EXPECT_THAT(read.error().message, HasSubstr("folder"));
  }
}

TEST(DcpMetadata, EveryDamagedByteIsReadOrRefused) {
  const Bytes encoded = encode_dcp_metadata(a_metadata()).value();
  std::mt19937 random(3);
  for (size_t i = 0; i < encoded.size(); ++i) {
    Bytes damaged = encoded;
    damaged[i] = static_cast<uint8_t>(random());
    const auto read = parse_dcp_metadata(damaged, "m");
    if (!read) {
      EXPECT_EQ(read.error().code, Code::kUsage);
    }
    EXPECT_FALSE(parse_dcp_metadata(ByteSpan(encoded).first(i), "m"));
  }
}

}  // namespace
}  // namespace cairn
