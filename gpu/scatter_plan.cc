#include "gpu/scatter_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace cairn::gpu {

/// What is wrong with a piece, its rows merged; empty when nothing is.
static std::string_view fault_of(const ScatterPiece& piece) {
  const Tile& to = piece.to;
  if (piece.slab_offset > kTileBytesMost) return "begins too far in the slab";
  if (piece.slab_offset % 16 != 0) return "begins in the slab at no multiple of 16";
  const auto row_bytes = static_cast<int64_t>(to.row_bytes);
  if (to.rows > 1 && to.stride_bytes < row_bytes && to.stride_bytes > -row_bytes) {
    return "has rows that overlap";
  }
  const bool is_kept = piece.from == piece.as;
  if (!is_kept && (piece.from == Element::kBytes || !is_target(piece.as))) {
    return "is to become a dtype that is not made on a device";
  }
  if (to.row_bytes % element_bytes(piece.as) != 0) return "has rows of no whole elements";
  return {};
}

Result<ScatterPlan> ScatterPlan::make(std::span<const ScatterPiece> pieces) {
  ScatterPlan plan;
  plan.pieces_ = pieces.size();
  Bytes first_units;
  for (size_t i = 0; i < pieces.size(); ++i) {
    ScatterPiece piece = pieces[i];
    const auto merged = merged_rows(piece.to);
    if (!merged) {
      return tl::unexpected(
          with_context(merged.error(), fmt::format("in piece {} of a scatter", i)));
    }
    piece.to = *merged;
    if (const auto fault = fault_of(piece); !fault.empty()) {
      return fail(Code::kUsage, fmt::format("piece {} of a scatter {}", i, fault));
    }
    const uint64_t bytes = piece.to.row_bytes * piece.to.rows;
    if (piece.from == piece.as) piece.from = piece.as = Element::kBytes;
    append_bytes(plan.image_, as_bytes(&piece, sizeof piece));
    append_le(first_units, plan.units_);
    const uint64_t slab = bytes / element_bytes(piece.as) * element_bytes(piece.from);
    plan.slab_bytes_ = std::max(plan.slab_bytes_, piece.slab_offset + slab);
    plan.units_ += (bytes + 16 * kScatterVectors - 1) / (16 * kScatterVectors);
  }
  append_le(first_units, plan.units_);
  append_bytes(plan.image_, first_units);
  return plan;
}

}  // namespace cairn::gpu
