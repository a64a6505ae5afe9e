#include "gpu/copy_box.h"

#include "gpu/box_table.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/search.h"

namespace cairn::gpu {

namespace {

/// Division of 32 bits is several times faster.
CAIRN_DEVICE uint64_t quotient(uint64_t number, uint64_t by) {
  if ((number | by) >> 32 == 0) return static_cast<unsigned>(number) / static_cast<unsigned>(by);
  return number / by;
}

CAIRN_DEVICE const BoxHead& head_of(const BoxTable& table, uint64_t work) {
  const BoxHead* const heads = table.heads;
  return heads[find_range_by(table.boxes, work, [heads](uint64_t i) { return heads[i].begin; })];
}

/// Where a unit is on both sides, in bytes.
struct Offsets {
  int64_t from = 0, to = 0;

  CAIRN_DEVICE void add(const BoxAxis& axis, uint64_t place) {
    from += static_cast<int64_t>(place) * axis.from_stride;
    to += static_cast<int64_t>(place) * axis.to_stride;
  }
  /// Adds the place that a number is among those of some axes, the first running fastest.
  CAIRN_DEVICE void add(const BoxAxis* axes, unsigned count, uint64_t number) {
#pragma unroll 1
    for (unsigned i = 0; i < count && number != 0; ++i) {
      const uint64_t rest = quotient(number, axes[i].length);
      add(axes[i], number - rest * axes[i].length);
      number = rest;
    }
  }
};

template <class T>
CAIRN_DEVICE void copy_as(const uint8_t* from, uint8_t* to) {
  *aligned<T>(to) = *aligned<const T>(from);
}

CAIRN_DEVICE void copy_unit(const uint8_t* from, uint8_t* to, unsigned bytes) {
  if (bytes == 16) return copy_as<uint4>(from, to);
  if (bytes == 8) return copy_as<uint64_t>(from, to);
  if (bytes == 4) return copy_as<unsigned>(from, to);
  if (bytes == 2) return copy_as<uint16_t>(from, to);
  copy_as<uint8_t>(from, to);
}

CAIRN_DEVICE uint64_t load_unit(const uint8_t* from, unsigned bytes) {
  if (bytes == 8) return *aligned<const uint64_t>(from);
  if (bytes == 4) return *aligned<const unsigned>(from);
  if (bytes == 2) return *aligned<const uint16_t>(from);
  return *from;
}

CAIRN_DEVICE void store_unit(uint8_t* to, uint64_t unit, unsigned bytes) {
  if (bytes == 8) {
    *aligned<uint64_t>(to) = unit;
  } else if (bytes == 4) {
    *aligned<unsigned>(to) = static_cast<unsigned>(unit);
  } else if (bytes == 2) {
    *aligned<uint16_t>(to) = static_cast<uint16_t>(unit);
  } else {
    *to = static_cast<uint8_t>(unit);
  }
}

__global__ void __launch_bounds__(1024) copy_straight_boxes(const CAIRN_CONSTANT BoxTable table) {
  for (uint64_t unit = first_thread(); unit < table.work; unit += all_threads()) {
    const BoxHead& head = head_of(table, unit);
    Offsets at;
    at.add(table.axes + head.first_axis, head.axes, unit - head.begin);
    copy_unit(head.from + at.from, head.to + at.to, head.unit_bytes);
  }
}

/// A tile, by the place along the first axis, then along the second; the column that is left over
/// keeps lanes that go down a column from meeting in one bank.
struct TurnMemory {
  uint64_t units[kTurnSide][kTurnSide + 1];
};

/// Where a thread begins in a tile, whose lines are for warps and whose columns for lanes.
template <class Byte>
CAIRN_DEVICE Byte* line(Byte* tile, int64_t line_stride, int64_t column_stride) {
  return tile + warp_number() * line_stride + lane_number() * column_stride;
}

__global__ void __launch_bounds__(1024) copy_turned_boxes(const CAIRN_CONSTANT BoxTable table) {
  TurnMemory& memory = shared<TurnMemory>();
  for (uint64_t tile = blockIdx.x; tile < table.work; tile += gridDim.x) {
    const BoxHead& head = head_of(table, tile);
    const BoxAxis* const axes = table.axes + head.first_axis;
    const BoxAxis first = axes[0], second = axes[1];
    const uint64_t firsts = (first.length + kTurnSide - 1) / kTurnSide;
    const uint64_t seconds = (second.length + kTurnSide - 1) / kTurnSide;
    const uint64_t number = tile - head.begin, row = quotient(number, firsts);
    const uint64_t rest = quotient(row, seconds);
    const uint64_t x = (number - row * firsts) * kTurnSide;
    const uint64_t y = (row - rest * seconds) * kTurnSide;
    Offsets at;
    at.add(axes + 2, head.axes - 2u, rest);
    at.add(first, x);
    at.add(second, y);
    // A warp a line, its lanes along what lies side by side: in the source, then in the target.
    const unsigned lane = lane_number(), warps = blockDim.x / kWarp;
    const bool reads = y + lane < second.length, writes = x + lane < first.length;
    const uint8_t* from = line(head.from + at.from, first.from_stride, second.from_stride);
    for (unsigned i = warp_number(); reads && i < kTurnSide && x + i < first.length; i += warps) {
      memory.units[i][lane] = load_unit(from, head.unit_bytes);
      from += warps * first.from_stride;
    }
    __syncthreads();
    uint8_t* to = line(head.to + at.to, second.to_stride, first.to_stride);
    for (unsigned i = warp_number(); writes && i < kTurnSide && y + i < second.length; i += warps) {
      store_unit(to, memory.units[lane][i], head.unit_bytes);
      to += warps * second.to_stride;
    }
    __syncthreads();
  }
}

}  // namespace

Status copy_boxes(Stream stream, std::span<const BoxCopy> boxes, Share share) {
  CAIRN_TRY(const BoxTables tables, box_tables(boxes));
  for (const BoxTable& table : tables.straight) {
    CAIRN_CHECK(launch(stream, shape_for(table.work, share), "copy_straight_boxes",
                       copy_straight_boxes, table));
  }
  const unsigned threads = share.multiprocessors == 0 ? 256 : 1024;
  for (const BoxTable& table : tables.turned) {
    CAIRN_CHECK(launch(stream, shape_of_blocks(table.work, threads, share), "copy_turned_boxes",
                       copy_turned_boxes, table));
  }
  return {};
}

}  // namespace cairn::gpu
