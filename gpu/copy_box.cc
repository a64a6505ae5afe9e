#include "gpu/copy_box.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

#include "gpu/box_table.h"

namespace cairn::gpu {

namespace {

/// False for a box that spans more than kTileBytesMost on that side.
bool has_extent(const std::vector<int64_t>& strides, const std::vector<uint64_t>& lengths) {
  uint64_t extent = 0;
  for (size_t axis = 0; axis < lengths.size(); ++axis) {
    if (lengths[axis] <= 1) continue;
    const int64_t stride = strides[axis];
    const uint64_t distance = stride < 0 ? -static_cast<uint64_t>(stride) : stride;
    uint64_t span = 0;
    if (__builtin_mul_overflow(distance, lengths[axis] - 1, &span) || span > kTileBytesMost) {
      return false;
    }
    extent += span;  // of 16 axes at most: no overflow
  }
  return extent <= kTileBytesMost;
}

bool has_size(const BoxCopy& box) {
  uint64_t bytes = box.item_bytes;
  for (const uint64_t length : box.lengths) {
    if (__builtin_mul_overflow(bytes, length, &bytes)) return false;
  }
  return bytes <= kTileBytesMost;
}

bool is_empty(const BoxCopy& box) {
  return std::find(box.lengths.begin(), box.lengths.end(), 0u) != box.lengths.end();
}

/// What is wrong with a box; empty when nothing is.
std::string_view fault_of(const BoxCopy& box) {
  const size_t rank = box.lengths.size();
  if (rank > kBoxRankMost) return "has more than 16 axes";
  if (box.from_strides.size() != rank || box.to_strides.size() != rank) {
    return "has not one stride for each axis";
  }
  if (!std::has_single_bit(box.item_bytes) || box.item_bytes > 16) {
    return "has items of other than 1, 2, 4, 8 or 16 bytes";
  }
  if (is_empty(box)) return {};
  for (size_t axis = 0; axis < rank; ++axis) {
    if (box.lengths[axis] > 1 && box.to_strides[axis] <= 0) {
      return "has a stride in the target that is not positive";
    }
  }
  if (!has_size(box)) return "has more than 2^50 bytes";
  if (!has_extent(box.from_strides, box.lengths) || !has_extent(box.to_strides, box.lengths)) {
    return "spans more than 2^50 bytes";
  }
  return {};
}

/// The box's axes, the bytes of an item among them, those next to each other in the target first;
/// what lies back to back on both sides is one. None of length 1 but the first.
std::vector<BoxAxis> joined_axes(const BoxCopy& box) {
  std::vector<BoxAxis> all;
  for (size_t axis = box.lengths.size(); axis-- > 0;) {
    if (box.lengths[axis] == 1) continue;
    all.push_back({box.lengths[axis], box.from_strides[axis], box.to_strides[axis]});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const BoxAxis& a, const BoxAxis& b) { return a.to_stride < b.to_stride; });
  std::vector<BoxAxis> joined = {{box.item_bytes, 1, 1}};
  for (const BoxAxis& axis : all) {
    BoxAxis& last = joined.back();
    const auto length = static_cast<int64_t>(last.length);
    if (axis.from_stride == last.from_stride * length &&
        axis.to_stride == last.to_stride * length) {
      last.length *= axis.length;
    } else {
      joined.push_back(axis);
    }
  }
  return joined;
}

/// A box in units, and the axes of these.
struct Units {
  uint64_t bytes = 16;
  std::vector<BoxAxis> axes;

  explicit Units(const BoxCopy& box) : axes(joined_axes(box)) {
    uint64_t places = axes[0].length | reinterpret_cast<uintptr_t>(box.from) |
                      reinterpret_cast<uintptr_t>(box.to);
    for (size_t axis = 1; axis < axes.size(); ++axis) {
      places |= static_cast<uint64_t>(axes[axis].from_stride | axes[axis].to_stride);
    }
    while (places % bytes != 0) bytes /= 2;
    const auto stride = static_cast<int64_t>(bytes);
    axes[0] = {axes[0].length / bytes, stride, stride};
    if (axes[0].length == 1) axes.erase(axes.begin());
  }

  uint64_t count() const {
    uint64_t units = 1;
    for (const BoxAxis& axis : axes) units *= axis.length;
    return units;
  }

  /// Makes the axis along which the source lies side by side the second, if that is another one
  /// than the target's and tiles of both are worth it.
  bool turn() {
    constexpr uint64_t kLeast = kTurnSide / 4;  // shorter ones leave most of a tile empty
    const auto stride = static_cast<int64_t>(bytes);
    if (axes.size() < 2 || bytes > 8 || axes[0].to_stride != stride || axes[0].length < kLeast) {
      return false;
    }
    const auto is_along = [=](const BoxAxis& axis) {
      return axis.from_stride == stride || axis.from_stride == -stride;
    };
    const auto found = std::find_if(axes.begin(), axes.end(), is_along);
    if (found == axes.begin() || found == axes.end() || found->length < kLeast) return false;
    std::rotate(axes.begin() + 1, found, found + 1);
    return true;
  }

  uint64_t tiles() const {
    const auto across = [&](size_t axis) { return ceil_div(axes[axis].length, kTurnSide); };
    return count() / axes[0].length / axes[1].length * across(0) * across(1);
  }
};

void add(std::vector<BoxTable>& tables, const BoxCopy& box, const Units& units, uint64_t work) {
  const auto axes = static_cast<uint32_t>(units.axes.size());
  if (tables.empty() || tables.back().boxes == BoxTable::kBoxes ||
      tables.back().axes_used + axes > BoxTable::kAxes) {
    tables.emplace_back();
  }
  BoxTable& table = tables.back();
  table.heads[table.boxes++] = {table.work,
                                box.from,
                                box.to,
                                static_cast<uint16_t>(units.bytes),
                                static_cast<uint16_t>(axes),
                                table.axes_used};
  std::copy(units.axes.begin(), units.axes.end(), table.axes + table.axes_used);
  table.axes_used += axes;
  table.work += work;
}

}  // namespace

Result<BoxTables> box_tables(std::span<const BoxCopy> boxes) {
  BoxTables tables;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const BoxCopy& box = boxes[i];
    if (const auto fault = fault_of(box); !fault.empty()) {
      return fail(Code::kUsage, fmt::format("box {} of a copy {}", i, fault));
    }
    if (is_empty(box)) continue;
    Units units(box);
    if (units.turn()) {
      add(tables.turned, box, units, units.tiles());
    } else {
      add(tables.straight, box, units, units.count());
    }
  }
  return tables;
}

}  // namespace cairn::gpu
