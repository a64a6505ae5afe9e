#include "lib/part_view.h"

#include <fmt/format.h>

#include <algorithm>

namespace cairn {

/// Where the name is in a list in order of names. REQUIRES: it is there.
template <class Named>
static size_t place_in(const std::vector<Named>& list, const std::string& name) {
  const auto at = std::lower_bound(
      list.begin(), list.end(), name,
      [](const Named& each, const std::string& wanted) { return each.name < wanted; });
  return static_cast<size_t>(at - list.begin());
}

PartView::PartView(const Part& part, uint32_t number, const SavePlan& plan)
    : part_(part),
      number_(number),
      plan_(plan),
      own_items_(plan.tensors.size() + plan.attachment_infos.size()) {
  const auto tensors = static_cast<uint32_t>(part.schema.tensors.size());
  for (uint32_t own = 0; own < tensors; ++own) {
    join(own, place_in(plan.schema.tensors, part.schema.tensors[own].name));
  }
  for (uint32_t own = 0; own < part.attachments.size(); ++own) {
    const size_t at = place_in(plan.attachment_infos, part.attachments[own].name);
    join(tensors + own, plan.tensors.size() + at);
  }
  uint32_t copies = 0;
  for (const PartUnit& unit : part.units) {
    first_copies_.push_back(copies);
    copies += unit.is_stored() ? 1 : 0;
  }
}

void PartView::join(uint32_t own, size_t item) {
  items_.push_back(item);
  own_items_[item] = own;
}

bool PartView::is_of_plan(const PartUnit& unit) const {
  const size_t tensors = part_.schema.tensors.size();
  if (unit.item < tensors) return true;
  return part_.attachments[unit.item - tensors].edges ==
         plan_.attachment_infos[items_[unit.item] - plan_.tensors.size()].edges;
}

std::string PartView::holder(size_t item) const {
  if (item >= plan_.tensors.size()) return fmt::format("part {}", number_);
  return fmt::format("rank {}", part_.layout.tensors[*own_items_[item]].boxes.front().writer);
}

Status PartView::check_unit(const PartUnit& unit) const {
  if (!is_of_plan(unit)) return {};
  const size_t item = item_of(unit);
  const auto bad = [&] {
    return fail(Code::kCorrupt, fmt::format("a part of a save is damaged: chunk {} of '{}'",
                                            unit.chunk, plan_.name(item)));
  };
  if (unit.chunk >= plan_.chunk_count(item)) return bad();
  Unit whole{item, unit.chunk, false, plan_.chunk_box(item, unit.chunk), {}};
  const bool is_in_page = plan_.unit_bytes(whole) <= kInlineBytesMax;
  if (unit.is_stored() == is_in_page) return bad();
  if (unit.piece) {
    const bool is_inside =
        unit.piece->rank() == whole.box.rank() && intersect(*unit.piece, whole.box) == unit.piece;
    if (!is_inside) return bad();
    whole.box = *unit.piece;
  }
  const uint64_t bytes =
      unit.is_stored() ? copy_of(unit).decoded_bytes : std::get<Bytes>(unit.content).size();
  return bytes == plan_.unit_bytes(whole) ? Status() : bad();
}

Status PartView::check() const {
  for (const PartUnit& unit : part_.units) CAIRN_CHECK(check_unit(unit));
  return {};
}

template <class IsIt>
const PartUnit* PartView::find(size_t item, uint64_t chunk, const IsIt& is_it) const {
  if (!own_items_[item]) return nullptr;
  const std::pair<uint32_t, uint64_t> wanted{*own_items_[item], chunk};
  const auto place = [](const PartUnit& unit) { return std::pair(unit.item, unit.chunk); };
  auto at = std::lower_bound(
      part_.units.begin(), part_.units.end(), wanted,
      [&](const PartUnit& unit, const auto& before) { return place(unit) < before; });
  for (; at != part_.units.end() && place(*at) == wanted; ++at) {
    if (is_it(*at)) return &*at;
  }
  return nullptr;
}

const PartUnit* PartView::find_whole(size_t item, uint64_t chunk) const {
  return find(item, chunk, [](const PartUnit& unit) { return !unit.piece; });
}

const PartUnit* PartView::find_piece(size_t item, uint64_t chunk, const Box& box) const {
  return find(item, chunk, [&](const PartUnit& unit) { return unit.piece == box; });
}

const Copy& PartView::copy_of(const PartUnit& unit) const {
  return part_.copies.copies[first_copies_[static_cast<size_t>(&unit - part_.units.data())]];
}

}  // namespace cairn
