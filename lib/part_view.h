// A part of a save as the plan of the whole tag sees it.
#pragma once

#include <optional>
#include <vector>

#include "lib/part.h"
#include "lib/save_plan.h"

namespace cairn {

/// Threads: any.
class PartView {
 public:
  /// `number`: of the part in the request. REQUIRES: the plan is of this part too, and both outlive
  /// this.
  PartView(const Part& part, uint32_t number, const SavePlan& plan);

  /// Errors: kCorrupt for units and copies that are not of the plan's tensors and attachments.
  Status check() const;

  const Part& part() const { return part_; }
  /// The plan's item that an item of the part is.
  size_t item_of(const PartUnit& unit) const { return items_[unit.item]; }
  /// False for an attachment that is cut otherwise in the plan, having another length or other
  /// bytes: none of its units is of use.
  bool is_of_plan(const PartUnit& unit) const;
  /// "rank 3", of a tensor by who wrote it; "part 3" of an attachment.
  std::string holder(size_t item) const;

  /// The chunk of the plan's item when the part has all of it.
  const PartUnit* find_whole(size_t item, uint64_t chunk) const;
  const PartUnit* find_piece(size_t item, uint64_t chunk, const Box& box) const;
  /// REQUIRES: a unit of the part that is stored.
  const Copy& copy_of(const PartUnit& unit) const;

 private:
  template <class IsIt>
  const PartUnit* find(size_t item, uint64_t chunk, const IsIt& is_it) const;
  Status check_unit(const PartUnit& unit) const;
  void join(uint32_t own, size_t item);

  const Part& part_;
  const uint32_t number_;
  const SavePlan& plan_;
  std::vector<std::optional<uint32_t>> own_items_;  // by the plan's item
  std::vector<size_t> items_;                       // by the part's
  std::vector<uint32_t> first_copies_;              // by unit
};

}  // namespace cairn
