#include "lib/merge_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lib/strided.h"
#include "store/meta_pack.h"

namespace cairn {

static std::string step_text(const std::optional<int64_t>& step) {
  return step ? fmt::format("step {}", *step) : "no step";
}

static Result<Part> read_part(FilePool& files, const std::string& name) {
  CAIRN_TRY(const Reference reference, parse_part_name(name));
  const auto bytes = read_object(files, reference);
  if (bytes) return decode_part(*bytes);
  return fail(bytes.error().code, "a part of the save cannot be read: " + bytes.error().message,
              "whoever stores a part must live until the save is done; save again");
}

Result<std::vector<Part>> read_parts(const Store& store, const SaveRequest& request) {
  std::vector<Part> parts;
  FilePool files(store.fs(), store.path(), OpenMode::kRead);
  for (const std::string& name : request.parts) {
    CAIRN_TRY(Part part, read_part(files, name));
    if (part.tag != request.tag) {
      return fail(Code::kUsage,
                  fmt::format("a part of the tag '{}' is no part of '{}'", part.tag, request.tag));
    }
    if (part.step != request.step) {
      return fail(Code::kUsage,
                  fmt::format("the parts of '{}' are of other steps: {} and {}", request.tag,
                              step_text(request.step), step_text(part.step)));
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

Status check_parts_base(std::span<const Part> parts, const BaseTag* base) {
  for (const Part& part : parts) {
    if (!part.base) continue;
    const bool is_same =
        base != nullptr && *part.base == PartBase{base->tag().name, base->tag().table};
    if (is_same) continue;
    return fail(Code::kBusy,
                fmt::format("the tag '{}', which the save compares with, has changed meanwhile",
                            part.base->tag),
                "save again");
  }
  return {};
}

void add_packs_of(std::span<const Part> parts, std::span<const FileId> packs,
                  std::vector<FileId>& reused) {
  std::set<SessionId> sessions;
  for (const Part& part : parts) sessions.insert(part.session);
  for (const FileId& pack : packs) {
    if (sessions.contains(pack.session)) reused.push_back(pack);
  }
  std::sort(reused.begin(), reused.end());
  reused.erase(std::unique(reused.begin(), reused.end()), reused.end());
}

namespace {

/// A part, and where its items and copies are.
class PartView {
 public:
  PartView(const Part& part, const SavePlan& plan) : part_(part), own_items_(item_count(plan)) {
    const auto tensors = static_cast<uint32_t>(part.schema.tensors.size());
    for (uint32_t own = 0; own < tensors; ++own) {
      const auto at = std::lower_bound(
          plan.schema.tensors.begin(), plan.schema.tensors.end(), part.schema.tensors[own].name,
          [](const TensorInfo& tensor, const std::string& name) { return tensor.name < name; });
      join(own, static_cast<size_t>(at - plan.schema.tensors.begin()));
    }
    for (uint32_t own = 0; own < part.attachments.size(); ++own) {
      const auto at = std::lower_bound(
          plan.attachment_infos.begin(), plan.attachment_infos.end(), part.attachments[own].name,
          [](const AttachmentInfo& info, const std::string& name) { return info.name < name; });
      join(tensors + own,
           plan.tensors.size() + static_cast<size_t>(at - plan.attachment_infos.begin()));
    }
    uint32_t copies = 0;
    for (const PartUnit& unit : part.units) {
      first_copies_.push_back(copies);
      copies += unit.is_stored() ? 1 : 0;
    }
  }

  /// The plan's item that an item of the part is.
  size_t item_of(uint32_t own) const { return items_[own]; }

  const PartUnit* find(size_t item, uint64_t chunk, const Box* piece) const {
    if (!own_items_[item]) return nullptr;
    const std::pair<uint32_t, uint64_t> wanted{*own_items_[item], chunk};
    const auto place = [](const PartUnit& unit) { return std::pair(unit.item, unit.chunk); };
    auto at = std::lower_bound(
        part_.units.begin(), part_.units.end(), wanted,
        [&](const PartUnit& unit, const auto& before) { return place(unit) < before; });
    for (; at != part_.units.end() && place(*at) == wanted; ++at) {
      const bool is_it = piece == nullptr ? !at->piece : at->piece == *piece;
      if (is_it) return &*at;
    }
    return nullptr;
  }

  const Part& part() const { return part_; }
  const Copy& copy_of(const PartUnit& unit) const {
    return part_.copies.copies[first_copies_[static_cast<size_t>(&unit - part_.units.data())]];
  }

 private:
  static size_t item_count(const SavePlan& plan) {
    return plan.tensors.size() + plan.attachment_infos.size();
  }
  void join(uint32_t own, size_t item) {
    items_.push_back(item);
    own_items_[item] = own;
  }

  const Part& part_;
  std::vector<std::optional<uint32_t>> own_items_;  // by the plan's item
  std::vector<size_t> items_;                       // by the part's
  std::vector<uint32_t> first_copies_;              // by unit
};

/// Threads: one at a time.
class Merger {
 public:
  Merger(std::span<const Part> parts, const SavePlan& plan, SavedPages& pages)
      : plan_(plan), pages_(pages) {
    for (const Part& part : parts) views_.emplace_back(part, plan);
  }

  Status run() {
    for (size_t item = 0; item < plan_.tensors.size() + plan_.attachment_infos.size(); ++item) {
      if (plan_.is_here(item)) continue;
      for (uint64_t chunk = 0; chunk < chunk_count(item); ++chunk) CAIRN_CHECK(fill(item, chunk));
    }
    return {};
  }

  /// A line for each tensor that parts have replicas of which differ.
  std::vector<std::string> differences() const {
    std::vector<std::string> lines;
    std::set<std::pair<size_t, uint32_t>> told;
    for (const PartView& view : views_) {
      for (const PartUnit& unit : view.part().units) {
        const size_t item = view.item_of(unit.item);
        const bool differs = item < plan_.tensors.size() && differs_from_merged(item, unit);
        if (!differs) continue;
        const uint32_t other = view.part().layout.tensors[unit.item].boxes.front().writer;
        if (!told.insert({item, other}).second) continue;
        lines.push_back(fmt::format(
            "the tensor '{}' of rank {} differs from that of rank {}, "
            "which was saved",
            plan_.schema.tensors[item].name, other, plan_.tensors[item].boxes.front().writer));
      }
    }
    return lines;
  }

 private:
  uint64_t chunk_count(size_t item) const {
    if (item < plan_.tensors.size()) return plan_.tensors[item].grid.chunk_count();
    return attachment_chunk_count(plan_.attachment_infos[item - plan_.tensors.size()],
                                  plan_.opaque_chunk_bytes);
  }

  uint32_t part_of(const Unit& unit) const {
    if (unit.item >= plan_.tensors.size()) {
      return *plan_.attachment_parts[unit.item - plan_.tensors.size()];
    }
    return *plan_.tensors[unit.item].boxes[unit.sources.front()].part;
  }

  tl::unexpected<Error> lacks(const Unit& unit) const {
    const bool is_tensor = unit.item < plan_.tensors.size();
    return fail(
        Code::kUsage,
        fmt::format("chunk {} of '{}' is in no part of the save as it was planned", unit.chunk,
                    is_tensor ? plan_.schema.tensors[unit.item].name
                              : plan_.attachment_infos[unit.item - plan_.tensors.size()].name),
        "ranks that hold the same boxes of a tensor must hold all the same");
  }

  Status fill(size_t item, uint64_t chunk) {
    const PagePlan::Place at = plan_.pages.place(item, chunk);
    OwnPlace place{at.page, at.entry, 0};
    std::vector<Piece> pieces;
    for (const Unit& unit : plan_.units_of(item, chunk)) {
      const PartView& view = views_[part_of(unit)];
      const PartUnit* found = view.find(item, chunk, unit.is_piece ? &unit.box : nullptr);
      if (found == nullptr && !unit.is_piece && plan_.unit_bytes(unit) <= kInlineBytesMax) {
        CAIRN_TRY(Bytes bytes, assemble(unit));
        pages_.set_entry(place, std::move(bytes));
        return {};
      }
      if (found == nullptr) return lacks(unit);
      if (found->is_stored()) pages_.set_copy(place, in_tag(view, view.copy_of(*found)));
      if (found->is_renewed) pages_.renew(place);
      if (!unit.is_piece) {
        set_whole(place, *found);
        return {};
      }
      if (!found->is_stored()) return lacks(unit);
      pieces.push_back({unit.box.offsets, unit.box.lengths, std::get<Digest>(found->content)});
      ++place.unit;
    }
    pages_.set_entry(place, std::move(pieces));
    return {};
  }

  void set_whole(const OwnPlace& place, const PartUnit& found) {
    std::visit([&](const auto& content) { pages_.set_entry(place, content); }, found.content);
  }

  /// A chunk that lies in its page, from the pieces that several processes had of it.
  Result<Bytes> assemble(const Unit& unit) const {
    const PlannedTensor& tensor = plan_.tensors[unit.item];
    const uint32_t item_bytes = tensor.form.item_bytes;
    Bytes whole(plan_.unit_bytes(unit));
    const StridedTarget room{whole.data(), contiguous_strides(unit.box.lengths, item_bytes)};
    for (const size_t number : unit.sources) {
      const SourceBox& source = tensor.boxes[number];
      const Box common = *intersect(source.box, unit.box);
      const PartUnit* found = views_[*source.part].find(unit.item, unit.chunk, &common);
      const Bytes* bytes = found == nullptr ? nullptr : std::get_if<Bytes>(&found->content);
      if (bytes == nullptr || bytes->size() != common.elements() * item_bytes) return lacks(unit);
      copy_box(StridedSource{bytes->data(), contiguous_strides(common.lengths, item_bytes)},
               sub_box(room, unit.box, common), common.lengths, item_bytes);
    }
    return whole;
  }

  /// A copy of a part, with its bases by their places in the tag.
  ChunkCopy in_tag(const PartView& view, const Copy& copy) const {
    ChunkCopy named{copy, {}};
    named.copy.bases.clear();
    for (const BaseRef& base : copy.bases) {
      if (base.page != kOwnUnits) {
        named.bases.emplace_back(base);
      } else {
        named.bases.emplace_back(place_of(view, view.part().units[base.slot]));
      }
    }
    return named;
  }

  OwnPlace place_of(const PartView& view, const PartUnit& unit) const {
    const size_t item = view.item_of(unit.item);
    const PagePlan::Place at = plan_.pages.place(item, unit.chunk);
    OwnPlace place{at.page, at.entry, 0};
    if (!unit.piece) return place;
    for (const Unit& each : plan_.units_of(item, unit.chunk)) {
      if (each.box == *unit.piece) break;
      ++place.unit;
    }
    return place;
  }

  bool differs_from_merged(size_t item, const PartUnit& unit) const {
    const PagePlan::Place at = plan_.pages.place(item, unit.chunk);
    const ChunkEntry& entry = pages_.entry({at.page, at.entry, 0});
    if (!unit.piece) {
      return std::visit(
          [&](const auto& content) {
            const auto* merged = std::get_if<std::decay_t<decltype(content)>>(&entry);
            return merged != nullptr && *merged != content;
          },
          unit.content);
    }
    const auto* pieces = std::get_if<std::vector<Piece>>(&entry);
    if (pieces == nullptr || !unit.is_stored()) return false;
    return std::any_of(pieces->begin(), pieces->end(), [&](const Piece& piece) {
      return Box{piece.offsets, piece.lengths} == *unit.piece &&
             piece.digest != std::get<Digest>(unit.content);
    });
  }

  const SavePlan& plan_;
  SavedPages& pages_;
  std::vector<PartView> views_;
};

}  // namespace

Status merge_parts(std::span<const Part> parts, const SavePlan& plan, SavedPages& pages,
                   std::vector<std::string>& warnings) {
  if (parts.empty()) return {};
  Merger merger(parts, plan, pages);
  CAIRN_CHECK(merger.run());
  const auto differences = merger.differences();
  warnings.insert(warnings.end(), differences.begin(), differences.end());
  return {};
}

}  // namespace cairn
