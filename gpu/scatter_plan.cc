#include "gpu/scatter_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace cairn::gpu {

static constexpr uint64_t kBytesMost = uint64_t{1} << 50;

/// What is wrong with a piece; empty when nothing is.
static std::string_view fault_of(const ScatterPiece& piece, uint64_t& bytes) {
  const Tile& to = piece.to;
  if (__builtin_mul_overflow(to.row_bytes, to.rows, &bytes) || bytes > kBytesMost) {
    return "is larger than a scatter can make";
  }
  if (piece.slab_offset % 16 != 0 || piece.slab_offset > kBytesMost) {
    return "begins in the slab at no multiple of 16";
  }
  if (to.rows > 1 && (to.stride_bytes < 0 ? -to.stride_bytes : to.stride_bytes) <
                         static_cast<int64_t>(to.row_bytes)) {
    return "has rows that overlap";
  }
  const bool is_kept = piece.from == piece.as;
  if (!is_kept && (piece.from == Element::kBytes || !is_wide(piece.as))) {
    return "is to become a dtype that is not made on a device";
  }
  if (to.row_bytes % element_bytes(piece.as) != 0) return "has rows of no whole elements";
  return {};
}

/// Rows without gaps are one row.
static Tile merged_rows(const Tile& tile, uint64_t bytes) {
  const bool is_one =
      tile.rows <= 1 || bytes == 0 || tile.stride_bytes == static_cast<int64_t>(tile.row_bytes);
  return is_one ? Tile{tile.data, bytes, 0, 1} : tile;
}

Result<ScatterPlan> ScatterPlan::make(std::span<const ScatterPiece> pieces) {
  ScatterPlan plan;
  plan.pieces_ = pieces.size();
  Bytes first_units;
  for (size_t i = 0; i < pieces.size(); ++i) {
    ScatterPiece piece = pieces[i];
    uint64_t bytes = 0;
    if (const auto fault = fault_of(piece, bytes); !fault.empty()) {
      return fail(Code::kUsage, fmt::format("piece {} of a scatter {}", i, fault));
    }
    piece.to = merged_rows(piece.to, bytes);
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
