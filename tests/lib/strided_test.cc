#include "lib/strided.h"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"

namespace cairn {
namespace {

/// Visits every index of a box of these lengths.
template <class Visit>
void for_each_index(const std::vector<uint64_t>& lengths, const Visit& visit) {
  std::vector<uint64_t> at(lengths.size(), 0);
  for (const uint64_t length : lengths) {
    if (length == 0) return;
  }
  for (;;) {
    visit(at);
    size_t axis = lengths.size();
    for (; axis > 0; --axis) {
      if (++at[axis - 1] < lengths[axis - 1]) break;
      at[axis - 1] = 0;
    }
    if (axis == 0) return;
  }
}

int64_t offset_of(const std::vector<uint64_t>& at, const std::vector<int64_t>& strides) {
  int64_t offset = 0;
  for (size_t axis = 0; axis < at.size(); ++axis) {
    offset += static_cast<int64_t>(at[axis]) * strides[axis];
  }
  return offset;
}

/// Memory of a permuted, padded, partly reversed array: strides, and where the first item lies.
struct Layout {
  std::vector<int64_t> strides;
  int64_t first = 0;
  size_t bytes = 0;
};

Layout random_layout(const std::vector<uint64_t>& lengths, uint64_t item, std::mt19937& random) {
  Layout layout{std::vector<int64_t>(lengths.size()), 0, 0};
  std::vector<size_t> order(lengths.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  auto stride = static_cast<int64_t>(item);
  for (const size_t axis : order) {
    layout.strides[axis] = stride;
    stride *= static_cast<int64_t>(lengths[axis] + random() % 2);
    if (stride == 0) stride = static_cast<int64_t>(item);
  }
  layout.bytes = static_cast<size_t>(stride) + item;
  for (size_t axis = 0; axis < lengths.size(); ++axis) {
    if (random() % 3 != 0 || lengths[axis] == 0) continue;
    layout.first += layout.strides[axis] * static_cast<int64_t>(lengths[axis] - 1);
    layout.strides[axis] = -layout.strides[axis];
  }
  return layout;
}

TEST(Strided, CopiesLikeALoopOverItems) {
  std::mt19937 random(4);
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint64_t> lengths(random() % 5);
    for (uint64_t& length : lengths) length = random() % 5;
    const uint64_t item = uint64_t{1} << random() % 4;
    const Layout from = random_layout(lengths, item, random),
                 to = random_layout(lengths, item, random);
    Bytes source(from.bytes), target(to.bytes, 0xee), expected;
    for (uint8_t& byte : source) byte = static_cast<uint8_t>(random());
    expected = target;
    for_each_index(lengths, [&](const std::vector<uint64_t>& at) {
      std::memcpy(expected.data() + to.first + offset_of(at, to.strides),
                  source.data() + from.first + offset_of(at, from.strides), item);
    });
    copy_box({source.data() + from.first, from.strides}, {target.data() + to.first, to.strides},
             lengths, item);
    ASSERT_EQ(target, expected);
    EXPECT_TRUE(equal_boxes({source.data() + from.first, from.strides},
                            {target.data() + to.first, to.strides}, lengths, item));
  }
}

TEST(Strided, AsRowsGivesTheBytesInOrderOrNothing) {
  std::mt19937 random(5);
  size_t given = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint64_t> lengths(random() % 4);
    for (uint64_t& length : lengths) length = random() % 5;
    const Layout layout = random_layout(lengths, 2, random);
    Bytes memory(layout.bytes);
    for (uint8_t& byte : memory) byte = static_cast<uint8_t>(random());
    Bytes wanted, got;
    for_each_index(lengths, [&](const std::vector<uint64_t>& at) {
      append_bytes(wanted,
                   ByteSpan(memory).subspan(
                       static_cast<size_t>(layout.first + offset_of(at, layout.strides)), 2));
    });
    const auto rows = as_rows(layout.strides, lengths, 2);
    if (!rows) continue;
    ++given;
    for (uint64_t row = 0; row < rows->rows; ++row) {
      const auto at = layout.first + static_cast<int64_t>(row) * rows->stride_bytes;
      append_bytes(got, ByteSpan(memory).subspan(static_cast<size_t>(at), rows->row_bytes));
    }
    ASSERT_EQ(got, wanted);
  }
  EXPECT_GT(given, 500u);
  EXPECT_EQ(as_rows({8, 2}, {3, 4}, 2)->rows, 1u) << "contiguous rows are one row";
  EXPECT_EQ(as_rows({10, 2}, {3, 4}, 2)->rows, 3u);
  EXPECT_FALSE(as_rows({100, 10, 2}, {3, 3, 4}, 2));
}

TEST(Strided, ZeroStridesRepeatAnItem) {
  const Bytes item{7, 9};
  Bytes target(8);
  copy_box({item.data(), {0}}, {target.data(), {2}}, {4}, 2);
  EXPECT_EQ(target, (Bytes{7, 9, 7, 9, 7, 9, 7, 9}));
}

TEST(Strided, EqualBoxesSeesEveryByte) {
  Bytes a(24, 1), b(24, 1);
  for (size_t at = 0; at < b.size(); ++at) {
    b[at] ^= 0x80;
    EXPECT_FALSE(equal_boxes({a.data(), {12, 4}}, {b.data(), {12, 4}}, {2, 3}, 4)) << at;
    b[at] ^= 0x80;
  }
}

}  // namespace
}  // namespace cairn
