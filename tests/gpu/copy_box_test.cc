#include "gpu/copy_box.h"

#include <algorithm>
#include <numeric>

#include "lib/strided.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

/// One side of a box in memory from some place on.
struct Side {
  std::vector<int64_t> strides;
  uint64_t begin = 0;  ///< of the first item
  uint64_t bytes = 0;  ///< that it spans
};

/// Boxes between two memories, in which those of the target do not touch each other.
class DrawnBoxes {
 public:
  explicit DrawnBoxes(uint64_t seed)
      : random_(seed), source_(random_content(kBytes, seed)), from_(source_), to_(empty()) {
    wanted_ = empty();
  }

  void add(size_t rank, uint64_t most) {
    BoxCopy box;
    box.item_bytes = uint64_t{1} << draw(5);
    for (size_t axis = 0; axis < rank; ++axis) box.lengths.push_back(1 + draw(most));
    const Side from = drawn_side(box, true), to = drawn_side(box, false);
    // At any alignment; most often at that of the items.
    const uint64_t unit = draw(3) == 0 ? 1 : box.item_bytes;
    at_ = (at_ + unit - 1) / unit * unit;
    if (from.bytes > kBytes || at_ + to.bytes > kBytes) return;
    const uint64_t place = draw((kBytes - from.bytes) / unit + 1) * unit + from.begin;
    add(box, from.strides, place, to.strides, at_ + to.begin);
    at_ += to.bytes + draw(20);
  }

  void add(BoxCopy box, const std::vector<int64_t>& from_strides, uint64_t from,
           const std::vector<int64_t>& to_strides, uint64_t to) {
    box.from = from_.data() + from;
    box.from_strides = from_strides;
    box.to = to_.data() + to;
    box.to_strides = to_strides;
    copy_box({source_.data() + from, from_strides}, {wanted_.data() + to, to_strides}, box.lengths,
             box.item_bytes);
    boxes_.push_back(box);
  }

  void expect_copied(Share share = {}) {
    must(copy_boxes({}, boxes_, share));
    EXPECT_TRUE(to_.content() == wanted_);
    must(copy_up({}, to_.data(), empty()));
  }
  size_t count() const { return boxes_.size(); }

  static constexpr uint64_t kBytes = 200'000;

 private:
  static Bytes empty() { return Bytes(kBytes, 0xEE); }
  uint64_t draw(uint64_t below) { return random_() % below; }

  /// The items in any order of the axes, with gaps; a source also runs backward or stands still.
  Side drawn_side(const BoxCopy& box, bool is_source) {
    std::vector<size_t> order(box.lengths.size());
    std::iota(order.begin(), order.end(), size_t{0});
    if (draw(2) == 0) {
      std::shuffle(order.begin(), order.end(), random_);
    } else {
      std::reverse(order.begin(), order.end());
    }
    const uint64_t gap_unit = draw(4) == 0 ? 1 : box.item_bytes;
    Side side{std::vector<int64_t>(order.size()), 0, box.item_bytes};
    for (const size_t axis : order) {
      if (draw(3) == 0) side.bytes += draw(4) * gap_unit;
      const auto stride = static_cast<int64_t>(side.bytes);
      const uint64_t last = (box.lengths[axis] - 1) * side.bytes;
      const uint64_t kind = is_source ? draw(8) : 2;
      side.strides[axis] = kind == 0 ? 0 : kind == 1 ? -stride : stride;
      if (kind == 1) side.begin += last;
      side.bytes += last;
    }
    return side;
  }

  std::mt19937_64 random_;
  Bytes source_, wanted_;
  OnDevice from_, to_;
  std::vector<BoxCopy> boxes_;
  uint64_t at_ = 0;
};

TEST(DeviceBoxes, AreCopiedAsTheHostDoes) {
  in_any_order([] {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(testing::Message() << "boxes " << seed);
      DrawnBoxes boxes(seed);
      for (size_t i = 0; i < 50; ++i) boxes.add(i % 6, 1 + 40 / (1 + i % 6 * i % 6));
      boxes.add(16, 2);
      EXPECT_GT(boxes.count(), 20u);
      boxes.expect_copied(seed % 2 == 0 ? Share{1} : Share{});
    }
  });
}

BoxCopy box_of(std::vector<uint64_t> lengths, uint64_t item_bytes) {
  BoxCopy box;
  box.lengths = std::move(lengths);
  box.item_bytes = item_bytes;
  return box;
}

TEST(DeviceBoxes, TransposedOnesAreTurned) {
  in_any_order([] {
    for (const int64_t item : {1, 2, 4, 8, 16}) {
      SCOPED_TRACE(testing::Message() << "items of " << item);
      DrawnBoxes boxes(static_cast<uint64_t>(item));
      const auto bytes = static_cast<uint64_t>(item);
      // Matrices of 70 x 45, of which the target holds the columns; the second one runs backward.
      boxes.add(box_of({70, 45}, bytes), {45 * item, item}, 0, {item, 70 * item}, 0);
      boxes.add(box_of({70, 45}, bytes), {45 * item, -item}, 44 * bytes, {item, 70 * item}, 51'200);
      // A batch of them, with gaps.
      boxes.add(box_of({3, 9, 33}, bytes), {400 * item, 40 * item, item}, 16,
                {300 * item, item, 9 * item}, 110'000);
      boxes.expect_copied();
      boxes.expect_copied({2});
    }
  });
}

TEST(DeviceBoxes, RunsThatAreAlignedAndNot) {
  for (const uint64_t shift : {0, 1, 2, 4, 8}) {
    DrawnBoxes boxes(shift);
    boxes.add(box_of({50, 10, 30}, 2), {600, 60, 2}, shift, {700, 60, 2}, 0);
    boxes.add(box_of({60'000}, 1), {1}, shift, {1}, 60'000);
    boxes.expect_copied();
  }
}

TEST(DeviceBoxes, MoreThanGoIntoOneKernel) {
  DrawnBoxes boxes(1);
  for (uint64_t i = 0; i < 100; ++i) {
    boxes.add(box_of({3, 3, 3, 3, 3}, 4), {1000, 300, 100, 24, 8}, 4 * i, {648, 216, 72, 24, 8},
              2000 * i);
  }
  boxes.expect_copied();
}

TEST(DeviceBoxes, OnesThatAreNoneAreRefused) {
  uint8_t bytes[64];
  const auto fault = [&](const auto& change) {
    std::vector<BoxCopy> boxes(2, {bytes, {8, 4}, bytes + 32, {8, 4}, {2, 2}, 4});
    boxes[1].to += 16;
    change(boxes[1]);
    const Status status = copy_boxes({}, boxes);
    if (status) return std::string();
    EXPECT_EQ(status.error().code, Code::kUsage);
    return status.error().message;
  };
  EXPECT_EQ(fault([](BoxCopy&) {}), "");
  EXPECT_EQ(fault([](BoxCopy& box) { box.item_bytes = 3; }),
            "box 1 of a copy has items of other than 1, 2, 4, 8 or 16 bytes");
  EXPECT_NE(fault([](BoxCopy& box) { box.item_bytes = 0; }), "");
  EXPECT_NE(fault([](BoxCopy& box) { box.item_bytes = 32; }), "");
  EXPECT_NE(fault([](BoxCopy& box) { box.lengths.pop_back(); }), "");
  EXPECT_NE(fault([](BoxCopy& box) { box.to_strides[0] = 0; }), "");
  EXPECT_NE(fault([](BoxCopy& box) { box.to_strides[1] = -4; }), "");
  EXPECT_NE(fault([](BoxCopy& box) { box.to_strides[1] = int64_t{1} << 51; }), "");
  EXPECT_NE(fault([](BoxCopy& box) { box.from_strides[1] = INT64_MIN; }), "");
  EXPECT_NE(fault([](BoxCopy& box) { box.lengths[0] = UINT64_MAX; }), "");
  EXPECT_NE(fault([](BoxCopy& box) {
              box.lengths.assign(17, 1);
              box.from_strides.assign(17, 1);
              box.to_strides.assign(17, 1);
            }),
            "");
}

TEST(DeviceBoxes, OfNothing) {
  must(copy_boxes({}, {}));
  const std::vector<BoxCopy> boxes = {{nullptr, {0, 0}, nullptr, {0, 0}, {UINT64_MAX, 0}, 8}};
  must(copy_boxes({}, boxes));
  const OnDevice from(random_content(16, 1)), to(Bytes(16));
  const std::vector<BoxCopy> one = {{from.data(), {}, to.data(), {}, {}, 16}};
  must(copy_boxes({}, one));
  EXPECT_EQ(to.content(), from.content());
}

}  // namespace
}  // namespace cairn::gpu
