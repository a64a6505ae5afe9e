// Boxes as kernels copy them: as units that lie in one piece and aligned on both sides, in a table
// that is small enough to be a kernel's parameter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/copy_box.h"

namespace cairn::gpu {

struct BoxAxis {
  uint64_t length;
  int64_t from_stride, to_stride;
};

struct BoxHead {
  uint64_t begin;  ///< of its work among that of all boxes of the table
  const uint8_t* from;
  uint8_t* to;
  uint16_t unit_bytes;  ///< 1, 2, 4, 8 or 16
  uint16_t axes;
  uint32_t first_axis;
};

/// Of the units that a tile has along each of two axes; a tile is work of a block.
inline constexpr unsigned kTurnSide = 32;

/// Parameters of a kernel are 4 KiB at most.
struct BoxTable {
  static constexpr uint32_t kBoxes = 32, kAxes = 120;

  BoxHead heads[kBoxes];
  BoxAxis axes[kAxes];  ///< of each box those next to each other in the target first
  uint64_t work;        ///< of all boxes: units, or tiles
  uint32_t boxes, axes_used;
};
static_assert(sizeof(BoxTable) <= 4000);

struct BoxTables {
  /// A unit a thread; neighbouring lanes write, and mostly read, what lies side by side.
  std::vector<BoxTable> straight;
  /// Boxes whose second axis is the one whose units lie side by side in the source: tiles of both
  /// axes are turned in shared memory, for then a warp reads and writes whole runs.
  std::vector<BoxTable> turned;
};

/// Errors: as of copy_boxes().
Result<BoxTables> box_tables(std::span<const BoxCopy> boxes);

}  // namespace cairn::gpu
