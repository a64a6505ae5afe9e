#include "lib/base_memory.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

struct Matrix {
  std::vector<float> numbers;
  SaveRequest request;

  explicit Matrix(const Shape& shape) : numbers(whole_box(shape).elements()) {
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
    request.tag = "t";
    request.tensors.push_back({"w", Dtype::kF32, shape, whole_box(shape), numbers.data()});
  }
};

TEST(BaseMemory, GathersBoxes) {
  const Matrix matrix({6, 5});
  const auto plan = plan_save(matrix.request, {});
  ASSERT_TRUE(succeeds(plan));
  // The same matrix, column by column, in two boxes.
  std::vector<float> columns;
  for (size_t column = 0; column < 5; ++column) {
    for (size_t row = 0; row < 6; ++row) columns.push_back(matrix.numbers[5 * row + column]);
  }
  std::vector<TensorSource> memory = {
      {"w", Dtype::kF32, {6, 5}, {{0, 0}, {6, 2}}, columns.data(), {4, 24}},
      {"w", Dtype::kF32, {6, 5}, {{0, 2}, {6, 3}}, columns.data() + 12, {4, 24}},
      {"other", Dtype::kF32, {6, 5}, {{0, 0}, {6, 5}}, columns.data()}};
  const BaseMemory base(memory, *plan);
  ASSERT_FALSE(base.is_empty());
  const std::vector<float> middle = {matrix.numbers[11], matrix.numbers[12], matrix.numbers[16],
                                     matrix.numbers[17]};
  const Digest digest = blake3(as_bytes(middle.data(), 16));
  Bytes room(16);
  ASSERT_TRUE(base.recall(0, {{2, 1}, {2, 2}}, digest, room));
  EXPECT_EQ(std::memcmp(room.data(), middle.data(), 16), 0);
  EXPECT_FALSE(base.recall(0, {{1, 1}, {2, 2}}, digest, room)) << "other bytes";
}

TEST(BaseMemory, WhatIsNotAllThereIsNoUse) {
  const Matrix matrix({6, 5});
  const auto plan = plan_save(matrix.request, {});
  const Digest digest = blake3(as_bytes(matrix.numbers.data(), 120));
  Bytes room(120);
  const auto recalls = [&](TensorSource source) {
    const std::vector<TensorSource> memory = {std::move(source)};
    return BaseMemory(memory, *plan).recall(0, whole_box({6, 5}), digest, room);
  };
  const TensorSource whole = matrix.request.tensors[0];
  EXPECT_TRUE(recalls(whole));
  TensorSource source = whole;
  source.box = {{0, 0}, {5, 5}};
  EXPECT_FALSE(recalls(source)) << "a row is missing";
  source = whole;
  source.dtype = Dtype::kI32;
  EXPECT_FALSE(recalls(source));
  source = whole;
  source.shape = {5, 6};
  EXPECT_FALSE(recalls(source));
  source = whole;
  source.box = {{0, 0}, {7, 5}};
  EXPECT_FALSE(recalls(source)) << "outside";
  source = whole;
  source.data = nullptr;
  EXPECT_FALSE(recalls(source));
  EXPECT_TRUE(BaseMemory({}, *plan).is_empty());
}

}  // namespace
}  // namespace cairn
