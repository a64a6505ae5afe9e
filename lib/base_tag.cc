#include "lib/base_tag.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "store/tag_name.h"

namespace cairn {

Result<std::optional<TagEntry>> choose_base(TagBook& tags, const std::string& tag,
                                            const std::optional<std::string>& wanted) {
  if (wanted == "none") return std::optional<TagEntry>();
  if (wanted) {
    CAIRN_TRY(const TagEntry* named, tags.find(*wanted));
    if (named == nullptr) {
      return fail(Code::kNotFound, fmt::format("there is no tag '{}' to compare with", *wanted),
                  "name an existing tag, or 'none'");
    }
    return std::optional<TagEntry>(*named);
  }
  const std::string_view prefix = tag_prefix(tag);
  const auto is_beside = [&](const TagEntry& entry) { return tag_prefix(entry.name) == prefix; };
  CAIRN_TRY(const TagEntry* newest, tags.newest(prefix, is_beside));
  return newest == nullptr ? std::optional<TagEntry>() : *newest;
}

BaseTag::BaseTag(std::unique_ptr<Checkpoint> checkpoint) : checkpoint_(std::move(checkpoint)) {
  const LocatorTable& table = checkpoint_->table();
  for (size_t number = 0; number < table.pages.size(); ++number) {
    const PagePlace& place = table.pages[number];
    page_numbers_[{place.page.digest, place.locator.digest}] = number;
  }
}

Result<std::unique_ptr<BaseTag>> BaseTag::open(const Store& store, const TagEntry& tag) {
  CAIRN_TRY(auto checkpoint, Checkpoint::open(store, tag));
  return std::unique_ptr<BaseTag>(new BaseTag(std::move(checkpoint)));
}

LeasedBase BaseTag::lease() const {
  const TagEntry& tag = checkpoint_->tag();
  LeasedBase lease{tag.name, tag.manifest, tag.schema, tag.table, tag.layout, {}};
  for (const PackUse& use : checkpoint_->table().packs) lease.packs.push_back(use.pack);
  return lease;
}

void BaseTag::match(const Schema& schema, const std::vector<AttachmentInfo>& attachments) {
  const Schema& base = checkpoint_->schema();
  base_items_.clear();
  for (const TensorInfo& tensor : schema.tensors) {
    std::optional<size_t> number = checkpoint_->find_tensor(tensor.name);
    if (number && (base.chunk_elements != schema.chunk_elements ||
                   base.tensors[*number].dtype != tensor.dtype ||
                   base.tensors[*number].chunk_count != tensor.chunk_count ||
                   base.tensors[*number].shape != tensor.shape)) {
      number.reset();
    }
    base_items_.push_back(number);
  }
  for (const AttachmentInfo& attachment : attachments) {
    base_items_.push_back(checkpoint_->find_attachment(attachment.name));
  }
}

std::optional<PagePlan::Place> BaseTag::place_of(size_t item, uint64_t chunk) const {
  const std::optional<size_t> number = base_items_[item];
  // An attachment may have been shorter.
  if (!number || chunk >= checkpoint_->chunk_count(*number)) return std::nullopt;
  return checkpoint_->plan().place(*number, chunk);
}

std::optional<std::vector<Copy>> BaseTag::equal_copies(size_t item, uint64_t chunk,
                                                       const ChunkEntry& entry) {
  const auto place = place_of(item, chunk);
  if (!place) return std::nullopt;
  const auto page = checkpoint_->page(place->page);
  if (!page || (*page)->page.entries[place->entry] != entry) return std::nullopt;
  const auto copies = (*page)->copies(place->entry);
  return std::vector<Copy>(copies.begin(), copies.end());
}

/// Where all chunks of an item lie that are not cut in pieces; those that can be read.
BaseTag::ChunkRefs BaseTag::read_chunk_refs(size_t number) {
  ChunkRefs refs;
  for (uint64_t chunk = 0; chunk < checkpoint_->chunk_count(number); ++chunk) {
    const PagePlan::Place place = checkpoint_->plan().place(number, chunk);
    const auto page = checkpoint_->page(place.page);
    if (!page) continue;
    const auto* digest = std::get_if<Digest>(&(*page)->page.entries[place.entry]);
    if (digest == nullptr) continue;
    refs.push_back(
        {*digest, {static_cast<uint32_t>(place.page), (*page)->first_slots[place.entry]}});
  }
  std::sort(refs.begin(), refs.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return refs;
}

std::optional<Copy> BaseTag::moved_copy(size_t item, const Digest& digest) {
  const std::optional<size_t> number = base_items_[item];
  if (!number) return std::nullopt;
  std::optional<CopyRef> found;
  {
    const std::lock_guard lock(chunk_refs_mutex_);
    const auto [refs, fresh] = chunk_refs_.try_emplace(*number);
    if (fresh) refs->second = read_chunk_refs(*number);
    const auto at = std::lower_bound(
        refs->second.begin(), refs->second.end(), digest,
        [](const auto& each, const Digest& wanted) { return each.first < wanted; });
    if (at != refs->second.end() && at->first == digest) found = at->second;
  }
  return found ? copy_of(*found) : std::nullopt;
}

std::optional<BaseUnit> BaseTag::unit_at(size_t item, uint64_t chunk, const Box* piece) {
  const auto place = place_of(item, chunk);
  if (!place) return std::nullopt;
  const auto page = checkpoint_->page(place->page);
  if (!page) {
    note_unread({static_cast<uint32_t>(place->page), place->entry});
    return std::nullopt;
  }
  uint32_t slot = (*page)->first_slots[place->entry];
  const ChunkEntry& entry = (*page)->page.entries[place->entry];
  const auto unit = [&](const Digest& digest) {
    const CopyRef ref{static_cast<uint32_t>(place->page), slot};
    const Digest& page_digest = checkpoint_->table().place(place->page).page.digest;
    const Copy& copy = (*page)->locator.copies[slot];
    const uint8_t detail = copy.parameters.size() > 1 ? copy.parameters[1] : 0;
    return BaseUnit{ref,    {page_digest, slot}, digest, copy.decoded_bytes, copy.encoding,
                    detail, copy.stored_bytes};
  };
  if (const auto* digest = std::get_if<Digest>(&entry)) {
    return piece == nullptr ? std::optional(unit(*digest)) : std::nullopt;
  }
  const auto* pieces = std::get_if<std::vector<Piece>>(&entry);
  if (pieces == nullptr || piece == nullptr) return std::nullopt;
  for (const Piece& each : *pieces) {
    if (each.offsets == piece->offsets && each.lengths == piece->lengths) return unit(each.digest);
    ++slot;
  }
  return std::nullopt;
}

std::optional<Copy> BaseTag::copy_of(const CopyRef& ref) {
  const auto page = checkpoint_->page(ref.page);
  if (!page || ref.slot >= (*page)->locator.copies.size()) return std::nullopt;
  return (*page)->locator.copies[ref.slot];
}

void BaseTag::note_unread(const CopyRef& copy) {
  const std::lock_guard lock(unread_mutex_);
  unread_.insert({copy.page, copy.slot});
}

size_t BaseTag::unread() const {
  const std::lock_guard lock(unread_mutex_);
  return unread_.size();
}

Result<DecodePlan> BaseTag::plan_of(size_t item, uint64_t chunk) {
  const auto place = place_of(item, chunk);
  if (!place) return fail(Code::kNotFound, "the base tag has no such chunk");
  CAIRN_TRY(const auto page, checkpoint_->page(place->page));
  std::vector<CopyRef> refs;
  for (uint32_t i = 0; i < copy_count(page->page.entries[place->entry]); ++i) {
    refs.push_back({static_cast<uint32_t>(place->page), page->first_slots[place->entry] + i});
  }
  return plan_decoding(*checkpoint_, refs);
}

bool BaseTag::stands_alone(size_t item, uint64_t chunk) {
  const auto plan = plan_of(item, chunk);
  return plan && std::none_of(plan->copies.begin(), plan->copies.end(), [](const auto& each) {
           // A prediction from one base is one from the tensor itself.
           return each.copy.encoding == Encoding::kDerived ||
                  (each.copy.encoding == Encoding::kReplay && each.copy.bases.size() > 1);
         });
}

std::optional<PagePlace> BaseTag::page_of(const Digest& page) const {
  const auto number = checkpoint_->page_numbers().of(page);
  return number ? std::optional(checkpoint_->table().place(*number)) : std::nullopt;
}

std::optional<PagePlace> BaseTag::equal_page(const Digest& page, const Digest& locator) {
  const auto found = page_numbers_.find({page, locator});
  if (found == page_numbers_.end() || !checkpoint_->page(found->second)) return std::nullopt;
  return checkpoint_->table().pages[found->second];
}

std::optional<Reference> BaseTag::equal_schema(const Digest& schema) const {
  const Reference& reference = checkpoint_->tag().schema;
  return reference.digest == schema ? std::optional(reference) : std::nullopt;
}

std::optional<Reference> BaseTag::equal_layout(const Digest& layout) const {
  const std::optional<Reference>& reference = checkpoint_->tag().layout;
  const bool same = reference && reference->digest == layout;
  return same && checkpoint_->layout() ? reference : std::nullopt;
}

}  // namespace cairn
