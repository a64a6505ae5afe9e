// Whether boxes cover a tensor: where a hole is, and which boxes overlap.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "lib/tensor.h"
#include "store/page.h"

namespace cairn {

struct CoverReport {
  std::optional<Box> hole;                          ///< a part of the shape that no box holds
  std::vector<std::pair<size_t, size_t>> overlaps;  ///< pairs of boxes that share elements
};

/// REQUIRES: every box lies inside the shape.
CoverReport check_cover(const Shape& shape, const std::vector<Box>& boxes);

/// Whether the parts are disjoint boxes that make up the whole. Takes any parts, however forged.
bool make_up(const std::vector<Box>& parts, const Box& whole);

/// The boxes of a chunk's pieces.
std::vector<Box> piece_boxes(const std::vector<Piece>& pieces);

}  // namespace cairn
