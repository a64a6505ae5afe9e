#include "lib/box_digest.h"

#include <gtest/gtest.h>

#include <numeric>

#include "lib/stretches.h"

namespace cairn {
namespace {

/// 60 x 40 elements of two bytes, all different.
class BoxDigest : public testing::Test {
 protected:
  BoxDigest() { std::iota(values_.begin(), values_.end(), uint16_t{0}); }

  TensorSource whole() const {
    return {"w", Dtype::kBF16, kShape, whole_box(kShape), values_.data()};
  }
  /// The same elements, column after column.
  TensorSource turned() {
    for (size_t i = 0; i < 60; ++i) {
      for (size_t j = 0; j < 40; ++j) columns_[j * 60 + i] = values_[i * 40 + j];
    }
    TensorSource source = whole();
    source.data = columns_.data();
    source.strides_bytes = {2, 120};
    return source;
  }
  Digest digest(const TensorSource& source, const Sampling& sampling = {}) const {
    const auto made = box_digests({&source, 1}, sampling, {});
    EXPECT_TRUE(made) << made.error().message;
    return made->at(0);
  }
  ByteSpan bytes(size_t first, size_t count) const {
    return {reinterpret_cast<const uint8_t*>(&values_[first]), 2 * count};
  }

  const Shape kShape{60, 40};
  std::vector<uint16_t> values_ = std::vector<uint16_t>(2400), columns_ = values_;
};

TEST_F(BoxDigest, IsThatOfTheBytesInOrderWhateverTheStrides) {
  EXPECT_EQ(digest(whole()), blake3(bytes(0, 2400)));
  EXPECT_EQ(digest(turned()), blake3(bytes(0, 2400)));
}

TEST_F(BoxDigest, SamplesAreTheSameWhateverTheStrides) {
  for (uint64_t turn = 0; turn < 20; ++turn) {
    const Sampling sampling{500, turn};
    const auto box = sampled_box(whole(), sampling);
    ASSERT_TRUE(box);
    EXPECT_EQ(box->lengths[1], 40);
    EXPECT_EQ(digest(whole(), sampling), blake3(bytes(box->offsets[0] * 40, box->lengths[0] * 40)));
    EXPECT_EQ(digest(turned(), sampling), digest(whole(), sampling));
  }
}

TEST_F(BoxDigest, AChangeIsFoundWhenItsTurnComes) {
  const std::vector<uint16_t> before = values_;
  TensorSource old = whole();
  old.data = before.data();
  values_[1234] ^= 1;
  EXPECT_NE(digest(whole()), digest(old));
  unsigned found = 0;
  for (uint64_t turn = 0; turn < 100; ++turn) {
    const Sampling sampling{480, turn};
    found += digest(whole(), sampling) != digest(old, sampling) ? 1 : 0;
  }
  EXPECT_GE(found, 5);
  EXPECT_LE(found, 20) << "a tenth of the rows is looked at";
}

TEST_F(BoxDigest, OddTensors) {
  const uint8_t halves[3] = {1, 2, 3};
  const TensorSource small{"s", Dtype::kU8, {3}, whole_box({3}), halves};
  EXPECT_EQ(digest(small, {2, 7}), digest(small, {2, 7}));
  const TensorSource scalar{"c", Dtype::kU8, {}, whole_box({}), halves};
  EXPECT_EQ(digest(scalar, {1, 3}), blake3({halves, 1}));
  const TensorSource empty{"e", Dtype::kF32, {0, 4}, whole_box({0, 4}), nullptr};
  EXPECT_EQ(digest(empty, {64, 1}), blake3({}));
}

TEST_F(BoxDigest, WhatCannotBeReadIsNamed) {
  TensorSource outside = whole();
  outside.box.offsets[0] = 1;
  const auto made = box_digests({&outside, 1}, {}, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kUsage);
  EXPECT_NE(made.error().message.find("tensor 'w'"), std::string::npos);
  TensorSource nothing = whole();
  nothing.data = nullptr;
  EXPECT_FALSE(box_digests({&nothing, 1}, {}, {}));
}

}  // namespace
}  // namespace cairn
