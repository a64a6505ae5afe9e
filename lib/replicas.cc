#include "lib/replicas.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lib/strided.h"

namespace cairn {

std::string holder_of(const SavePlan& plan, size_t item) {
  if (item >= plan.tensors.size()) {
    return fmt::format("part {}", *plan.attachment_parts[item - plan.tensors.size()]);
  }
  return fmt::format("rank {}", plan.tensors[item].boxes.front().writer);
}

/// Whether a chunk that lies in its page has other bytes in the box of the unit.
static bool differs_in_page(const SavePlan& plan, size_t item, const PartUnit& unit,
                            const Bytes& saved) {
  const uint32_t item_bytes = plan.tensors[item].form.item_bytes;
  const auto& bytes = std::get<Bytes>(unit.content);
  const Box& piece = *unit.piece;
  const Box whole = plan.chunk_box(item, unit.chunk);
  const StridedSource in_page{saved.data(), contiguous_strides(whole.lengths, item_bytes)};
  const StridedSource own{bytes.data(), contiguous_strides(piece.lengths, item_bytes)};
  return !equal_boxes(sub_box(in_page, whole, piece), own, piece.lengths, item_bytes);
}

static bool differs(const SavePlan& plan, size_t item, const PartUnit& unit,
                    const ChunkEntry& entry) {
  if (!unit.piece) {
    return std::visit(
        [&](const auto& content) {
          const auto* const saved = std::get_if<std::decay_t<decltype(content)>>(&entry);
          return saved != nullptr && *saved != content;
        },
        unit.content);
  }
  if (!unit.is_stored()) {
    const auto* const saved = std::get_if<Bytes>(&entry);
    return saved != nullptr && differs_in_page(plan, item, unit, *saved);
  }
  const auto* const pieces = std::get_if<std::vector<Piece>>(&entry);
  return pieces != nullptr && std::any_of(pieces->begin(), pieces->end(), [&](const Piece& piece) {
           return Box{piece.offsets, piece.lengths} == *unit.piece &&
                  piece.digest != std::get<Digest>(unit.content);
         });
}

std::vector<std::string> find_differences(std::span<const PartView> views, const SavePlan& plan,
                                          const SavedPages& pages) {
  std::vector<std::string> lines;
  std::set<std::pair<size_t, std::string>> told;
  const auto tell = [&](const PartView& view, size_t item) {
    if (!told.emplace(item, view.holder(item)).second) return;
    lines.push_back(fmt::format("the {} '{}' of {} differs from that of {}, which was saved",
                                item < plan.tensors.size() ? "tensor" : "attachment",
                                plan.name(item), view.holder(item), holder_of(plan, item)));
  };
  for (const PartView& view : views) {
    for (const PartUnit& unit : view.part().units) {
      const size_t item = view.item_of(unit);
      if (!view.is_of_plan(unit)) {
        tell(view, item);
        continue;
      }
      const PagePlan::Place at = plan.pages.place(item, unit.chunk);
      if (differs(plan, item, unit, pages.entry({at.page, at.entry, 0}))) tell(view, item);
    }
  }
  return lines;
}

}  // namespace cairn
