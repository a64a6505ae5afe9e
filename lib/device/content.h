// What a piece of memory on a device holds, as one run of bytes: the rows that a digest reads where
// they lie, or boxes that must be put together first.
#pragma once

#include <optional>
#include <vector>

#include "gpu/copy_box.h"
#include "gpu/tile.h"
#include "lib/save_plan.h"
#include "lib/strided.h"

namespace cairn {

/// A box of memory and where its bytes go in the run.
struct PlacedBox {
  StridedSource memory;
  std::vector<int64_t> strides_bytes;  ///< in the run
  uint64_t offset = 0;                 ///< of its first item in the run
  std::vector<uint64_t> lengths;
  uint64_t item_bytes = 1;
};

struct Content {
  std::optional<unsigned> device = {};  ///< unset: boxes of several memories
  uint64_t bytes = 0;
  std::optional<gpu::Tile> tile = {};                  ///< unset: it does not lie as rows
  std::vector<PlacedBox> boxes = {};                   ///< all of it
  std::vector<std::optional<unsigned>> memories = {};  ///< of each box; unset: the host's
};

/// REQUIRES: a tensor's unit.
Content content_of(const SavePlan& plan, const Unit& unit);
/// Of all of a box of memory.
Content content_of(const SourceBox& source, uint64_t item_bytes);

/// A copy on the device. Items of other lengths than powers of two are taken byte by byte.
gpu::BoxCopy box_copy(const StridedSource& from, const StridedTarget& to,
                      std::vector<uint64_t> lengths, uint64_t item_bytes);

/// How the device puts it together at `to`. REQUIRES: a device has all of it.
std::vector<gpu::BoxCopy> copies_to(const Content& content, uint8_t* to);

}  // namespace cairn
