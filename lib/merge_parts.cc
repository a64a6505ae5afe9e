// In two rounds: the first fills in the entries, whose digests say what each place of the tag
// holds; in the second, copies that are made from others of their part find these by digest.
#include "lib/merge_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/part_view.h"
#include "lib/replicas.h"
#include "lib/strided.h"

namespace cairn {
namespace {

/// Threads: one at a time.
class Merger {
 public:
  Merger(std::span<const Part> parts, const SavePlan& plan, BaseTag* base, SavedPages& pages)
      : plan_(plan), base_(base), pages_(pages) {
    for (const Part& part : parts) {
      views_.emplace_back(part, static_cast<uint32_t>(views_.size()), plan);
    }
  }

  Result<MergedParts> run() {
    for (const PartView& view : views_) CAIRN_CHECK(view.check());
    for (size_t item = 0; item < plan_.tensors.size() + plan_.attachment_infos.size(); ++item) {
      if (plan_.is_here(item)) continue;
      for (uint64_t chunk = 0; chunk < plan_.chunk_count(item); ++chunk) {
        CAIRN_CHECK(fill(item, chunk));
      }
    }
    for (const Taken& taken : taken_) {
      CAIRN_TRY(ChunkCopy copy, in_tag(taken));
      pages_.set_copy(taken.place, std::move(copy));
    }
    MergedParts merged;
    count_new(merged);
    merged.warnings = find_differences(views_, plan_, pages_);
    for (const PartView& view : views_) {
      const auto& told = view.part().warnings;
      merged.warnings.insert(merged.warnings.end(), told.begin(), told.end());
    }
    return merged;
  }

 private:
  /// A stored unit that stands for a place of the tag.
  struct Taken {
    const PartView* view = nullptr;
    const PartUnit* unit = nullptr;
    OwnPlace place;
  };

  OwnPlace place_of(size_t item, uint64_t chunk) const {
    const PagePlan::Place at = plan_.pages.place(item, chunk);
    return {at.page, at.entry, 0};
  }

  /// Of all boxes of a chunk, the part that has the first.
  const PartView& view_of(const Unit& unit) const {
    if (unit.item >= plan_.tensors.size()) {
      return views_[*plan_.attachment_parts[unit.item - plan_.tensors.size()]];
    }
    return views_[*plan_.tensors[unit.item].boxes[unit.sources.front()].part];
  }

  static const PartUnit* find(const PartView& view, const Unit& unit) {
    return unit.is_piece ? view.find_piece(unit.item, unit.chunk, unit.box)
                         : view.find_whole(unit.item, unit.chunk);
  }

  /// In the part whose boxes count; of replicas, in whichever stored it.
  Taken find(const Unit& unit, const OwnPlace& place) const {
    const PartView& view = view_of(unit);
    Taken taken{&view, find(view, unit), place};
    if (!unit.is_piece || taken.unit != nullptr) return taken;
    for (const PartView& other : views_) {
      if (const PartUnit* const there = find(other, unit)) return {&other, there, place};
    }
    return taken;
  }

  Status fill(size_t item, uint64_t chunk) {
    const std::vector<Unit> units = plan_.units_of(item, chunk);
    std::vector<Taken> found;
    OwnPlace place = place_of(item, chunk);
    for (const Unit& unit : units) {
      found.push_back(find(unit, place));
      ++place.unit;
    }
    const bool has_all = std::all_of(found.begin(), found.end(),
                                     [](const Taken& each) { return each.unit != nullptr; });
    if (has_all) return take(found);
    if (take_whole(item, chunk)) return {};
    if (plan_.unit_bytes(units.front()) <= kInlineBytesMax) return assemble(units.front());
    return lacks(units.front());
  }

  Status take(const std::vector<Taken>& found) {
    const OwnPlace& place = found.front().place;
    std::vector<Piece> pieces;
    for (const Taken& each : found) {
      const PartUnit& unit = *each.unit;
      if (unit.is_renewed) pages_.renew(place);
      if (unit.is_stored()) taken_.push_back(each);
      if (!unit.piece) {
        std::visit([&](const auto& content) { pages_.set_entry(place, content); }, unit.content);
        return {};
      }
      const auto& digest = std::get<Digest>(unit.content);
      pieces.push_back({unit.piece->offsets, unit.piece->lengths, digest});
    }
    pages_.set_entry(place, std::move(pieces));
    return {};
  }

  /// Where boxes of a chunk are replicas of several parts, one of these may have it whole.
  bool take_whole(size_t item, uint64_t chunk) {
    for (const PartView& view : views_) {
      const PartUnit* const whole = view.find_whole(item, chunk);
      if (whole == nullptr || !view.is_of_plan(*whole)) continue;
      return take({{&view, whole, place_of(item, chunk)}}).has_value();
    }
    return false;
  }

  /// Fills in a chunk that lies in its page, from the pieces that several processes had of it.
  Status assemble(const Unit& unit) {
    const PlannedTensor& tensor = plan_.tensors[unit.item];
    const uint32_t item_bytes = tensor.form.item_bytes;
    Bytes whole(plan_.unit_bytes(unit));
    const StridedTarget room{whole.data(), contiguous_strides(unit.box.lengths, item_bytes)};
    for (const size_t number : unit.sources) {
      const SourceBox& source = tensor.boxes[number];
      const Box common = *intersect(source.box, unit.box);
      const PartUnit* const found = views_[*source.part].find_piece(unit.item, unit.chunk, common);
      if (found == nullptr) return lacks(unit);
      const auto& bytes = std::get<Bytes>(found->content);
      copy_box(StridedSource{bytes.data(), contiguous_strides(common.lengths, item_bytes)},
               sub_box(room, unit.box, common), common.lengths, item_bytes);
    }
    pages_.set_entry(place_of(unit.item, unit.chunk), std::move(whole));
    return {};
  }

  tl::unexpected<Error> lacks(const Unit& unit) const {
    return fail(Code::kCorrupt, fmt::format("a part of the save is damaged: chunk {} of '{}' is in "
                                            "none",
                                            unit.chunk, plan_.name(unit.item)));
  }

  /// The copy with its bases by their places in the tag.
  Result<ChunkCopy> in_tag(const Taken& taken) const {
    const Copy& copy = taken.view->copy_of(*taken.unit);
    ChunkCopy named{copy, {}};
    named.copy.bases.clear();
    for (const BaseRef& base : copy.bases) {
      if (base.page != kOwnUnits) {
        named.bases.emplace_back(base);
        continue;
      }
      const PartUnit& unit = taken.view->part().units[base.slot];
      const auto place = find_in_tag(*taken.view, unit);
      if (!place) return is_made_from_another(taken, unit);
      named.bases.emplace_back(*place);
    }
    return named;
  }

  /// Where the tag has what the part has there; nullopt when it has something else.
  std::optional<OwnPlace> find_in_tag(const PartView& view, const PartUnit& unit) const {
    if (!view.is_of_plan(unit)) return std::nullopt;
    OwnPlace place = place_of(view.item_of(unit), unit.chunk);
    const ChunkEntry& entry = pages_.entry(place);
    const auto& digest = std::get<Digest>(unit.content);
    if (!unit.piece) {
      const auto* const whole = std::get_if<Digest>(&entry);
      return whole != nullptr && *whole == digest ? std::optional(place) : std::nullopt;
    }
    const auto* const pieces = std::get_if<std::vector<Piece>>(&entry);
    if (pieces == nullptr) return std::nullopt;
    const auto at = std::find(pieces->begin(), pieces->end(),
                              Piece{unit.piece->offsets, unit.piece->lengths, digest});
    if (at == pieces->end()) return std::nullopt;
    place.unit = static_cast<uint32_t>(at - pieces->begin());
    return place;
  }

  tl::unexpected<Error> is_made_from_another(const Taken& taken, const PartUnit& base) const {
    if (!taken.view->is_of_plan(base)) return lacks({taken.view->item_of(base), base.chunk});
    const size_t made = taken.view->item_of(*taken.unit), item = taken.view->item_of(base);
    const ChunkEntry& entry = pages_.entry(place_of(item, base.chunk));
    const bool is_cut_otherwise = base.piece.has_value() == std::holds_alternative<Digest>(entry);
    return fail(
        Code::kUsage,
        fmt::format("'{}' of {} is made from its '{}', of which {} has {}", plan_.name(made),
                    taken.view->holder(made), plan_.name(item), holder_of(plan_, item),
                    is_cut_otherwise ? "more boxes of a chunk" : "other bytes"),
        is_cut_otherwise ? "ranks that share one box of a chunk share all of them"
                         : "replicas must be equal; were they saved in the middle of an update?");
  }

  /// Counts what the processes have written, each chunk once, and what is new in pages.
  void count_new(MergedParts& merged) const {
    std::vector<std::pair<Digest, uint32_t>> written;
    for (const Taken& taken : taken_) {
      const Copy& copy = taken.view->copy_of(*taken.unit);
      const bool is_new = taken.view->item_of(*taken.unit) < plan_.tensors.size() &&
                          copy.pack.session == taken.view->part().session;
      if (is_new) written.emplace_back(std::get<Digest>(taken.unit->content), copy.decoded_bytes);
    }
    std::sort(written.begin(), written.end());
    written.erase(std::unique(written.begin(), written.end()), written.end());
    merged.new_chunks = written.size();
    for (const auto& [digest, bytes] : written) merged.new_bytes += bytes;
    for (size_t item = 0; item < plan_.tensors.size(); ++item) {
      for (uint64_t chunk = 0; chunk < plan_.chunk_count(item); ++chunk) {
        const ChunkEntry& entry = pages_.entry(place_of(item, chunk));
        const auto* const inline_bytes = std::get_if<Bytes>(&entry);
        if (inline_bytes == nullptr) continue;
        if (base_ != nullptr && base_->equal_copies(item, chunk, entry)) continue;
        ++merged.new_chunks;
        merged.new_bytes += inline_bytes->size();
      }
    }
  }

  const SavePlan& plan_;
  BaseTag* const base_;
  SavedPages& pages_;
  std::vector<PartView> views_;
  std::vector<Taken> taken_;
};

}  // namespace

Result<MergedParts> merge_parts(std::span<const Part> parts, const SavePlan& plan, BaseTag* base,
                                SavedPages& pages) {
  if (parts.empty()) return MergedParts();
  return Merger(parts, plan, base, pages).run();
}

}  // namespace cairn
