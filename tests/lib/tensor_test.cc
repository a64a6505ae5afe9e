#include "lib/tensor.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

constexpr uint64_t kHuge = uint64_t{1} << 62;

TEST(Tensor, BytesAreCheckedAgainstOverflow) {
  EXPECT_EQ(*checked_bytes(Dtype::kF32, {}), 4u);
  EXPECT_EQ(*checked_bytes(Dtype::kF32, {3, 0, kHuge}), 0u);
  EXPECT_EQ(*checked_bytes(Dtype::kU8, {kHuge}), kHuge);
  EXPECT_EQ(*checked_bytes(Dtype::kF4, {6}), 3u);
  EXPECT_EQ(*checked_bytes(Dtype::kF6E2M3, {2, 4}), 6u);
  for (const Shape& shape : {Shape{kHuge, 4}, Shape{kHuge, kHuge}, Shape{UINT64_MAX},
                             Shape{UINT64_MAX, 2}, Shape(17, 1)}) {
    EXPECT_EQ(checked_bytes(Dtype::kF32, shape).error().code, Code::kUsage) << shape_text(shape);
  }
  EXPECT_FALSE(checked_bytes(Dtype::kF4, {3})) << "half a byte";
  EXPECT_TRUE(checked_bytes(Dtype::kF32, Shape(16, 1)));
}

TEST(Tensor, BoxesMeetWhereTheyMeet) {
  const Box a{{0, 0}, {4, 4}}, b{{3, 1}, {4, 2}};
  EXPECT_EQ(*intersect(a, b), (Box{{3, 1}, {1, 2}}));
  EXPECT_FALSE(intersect(a, Box{{4, 0}, {1, 1}}));
  EXPECT_FALSE(intersect(a, Box{{1, 1}, {0, 1}}));
  EXPECT_TRUE(intersect(Box{}, Box{})) << "scalars";
  EXPECT_TRUE(contains(a, Box{{1, 1}, {3, 3}}));
  EXPECT_FALSE(contains(a, b));
}

TEST(Tensor, BoxesMustLieInside) {
  EXPECT_TRUE(check_box({{0, 1}, {2, 2}}, {2, 3}));
  EXPECT_TRUE(check_box({{2, 0}, {0, 3}}, {2, 3}));
  for (const Box& box :
       {Box{{0}, {1}}, Box{{0, 2}, {2, 2}}, Box{{3, 0}, {0, 0}}, Box{{0, UINT64_MAX}, {1, 2}}}) {
    EXPECT_EQ(check_box(box, {2, 3}).error().code, Code::kUsage) << box.text();
  }
}

TEST(Tensor, TextsAreWhatPeopleRead) {
  EXPECT_EQ((Box{{0, 10}, {4, 10}}).text(), "[0:4,10:20]");
  EXPECT_EQ(shape_text({2, 3}), "[2, 3]");
  EXPECT_EQ(shape_text({}), "[]");
}

TEST(Tensor, SubByteElementsAreStoredInWholeBytes) {
  const auto even = storage_form(Dtype::kF4, {3, 8});
  ASSERT_TRUE(even);
  EXPECT_EQ(even->bytes(), 12u);
  EXPECT_FALSE(even->flat);
  EXPECT_EQ(storage_box(*even, {3, 8}, {{1, 2}, {1, 4}})->lengths.back() * even->item_bytes, 2u);
  EXPECT_EQ(storage_box(*even, {3, 8}, {{1, 1}, {1, 4}}).error().code, Code::kUsage);
  const auto odd = storage_form(Dtype::kF4, {2, 3});
  ASSERT_TRUE(odd);
  EXPECT_TRUE(odd->flat) << "rows of one and a half bytes";
  EXPECT_TRUE(storage_box(*odd, {2, 3}, whole_box({2, 3})));
  EXPECT_FALSE(storage_box(*odd, {2, 3}, {{0, 0}, {1, 3}}));
}

TEST(Tensor, DtypesKnowTheirNamesAndWidths) {
  for (int code = 0; code < 256; ++code) {
    const auto dtype = static_cast<Dtype>(code);
    const bool known = code >= 1 && code <= 22;
    EXPECT_EQ(bits_per_element(dtype) != 0, known) << code;
    EXPECT_EQ(dtype_of_name(dtype_name(dtype)).has_value(), known) << code;
    EXPECT_TRUE(!known || *dtype_of_name(dtype_name(dtype)) == dtype);
  }
  EXPECT_FALSE(dtype_of_name("bf16"));
  EXPECT_TRUE(is_float(Dtype::kBF16) && is_float(Dtype::kF4) && is_float(Dtype::kC64));
  EXPECT_FALSE(is_float(Dtype::kBool) || is_float(Dtype::kU64));
}

}  // namespace
}  // namespace cairn
