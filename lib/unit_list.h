// What a rank could share of a save, in words that are the same on all ranks: chunks that it holds
// whole, and its pieces of others. They are named by tensor and box, not one by one, so that ranks
// with the same tensors find out by one digest that their lists are equal.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "gpu/twins.h"
#include "lib/save_groups.h"
#include "lib/save_plan.h"

namespace cairn {

/// All chunks of a tensor, or the pieces that one box has of those that it cuts.
struct UnitRange {
  Digest tensor;   ///< of its name, dtype and shape
  Digest cluster;  ///< of the tensor that leads those which are encoded with it
  uint32_t item_bytes = 1;
  Shape shape = {};             ///< of storage items
  std::optional<Box> cut = {};  ///< in storage coordinates
};

/// Ranges in an order that all ranks have; their units are numbered through. Threads: any.
class UnitList {
 public:
  /// `topic`: what must be the same on all ranks.
  static UnitList of(const SavePlan& plan, std::span<const SaveGroup> groups, const Digest& topic);
  /// Of what ranks have told. Errors: kUsage where they have other topics; kCorrupt.
  static Result<UnitList> united(std::span<const Bytes> told, uint64_t chunk_elements);
  Bytes encoded() const;

  std::span<const UnitRange> ranges() const { return ranges_; }
  uint64_t unit_count() const { return firsts_.back(); }
  /// The units of a range: from first_unit(r) to first_unit(r + 1).
  uint64_t first_unit(size_t range) const { return firsts_[range]; }
  uint64_t chunk_of(uint64_t unit) const;
  size_t range_of(uint64_t unit) const;
  /// The number of a unit of the plan. REQUIRES: of a list that has the plan's.
  uint64_t number_of(const SavePlan& plan, const Unit& unit) const;
  /// The whole chunk that a piece is of; nullopt where no rank could have that.
  std::optional<uint64_t> whole_of(uint64_t piece) const;
  /// Of all, whoever holds them.
  std::vector<gpu::ExchangeUnit> units() const;

 private:
  void settle(uint64_t chunk_elements);
  std::optional<size_t> find(const Digest& tensor, const std::optional<Box>& cut) const;

  Digest topic_;
  std::vector<UnitRange> ranges_;
  std::vector<uint64_t> firsts_;  // of each range, and behind the last
  std::vector<Grid> grids_;
  std::vector<std::vector<uint64_t>> cut_chunks_;  // of each range that is cut, in order
};

/// What names a tensor on all ranks.
Digest tensor_digest(const TensorSource& tensor);

}  // namespace cairn
