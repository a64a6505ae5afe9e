#include "store/tag_part.h"

namespace cairn {

Result<TagPart> TagPart::of(Checkpoint& whole, std::vector<size_t> tensors) {
  TagPart part(whole);
  part.schema_.chunk_elements = whole.schema().chunk_elements;
  for (const size_t tensor : tensors) {
    part.schema_.tensors.push_back(whole.schema().tensors[tensor]);
  }
  if (whole.tag().layout) {
    CAIRN_TRY(Layout layout, whole.layout());
    std::vector<TensorLayout> kept;
    for (const size_t tensor : tensors) kept.push_back(std::move(layout.tensors[tensor]));
    layout.tensors = std::move(kept);
    part.layout_ = std::move(layout);
  }
  part.plan_ = plan_pages(part.schema_, whole.manifest().attachments);
  part.items_ = std::move(tensors);
  for (size_t item = whole.schema().tensors.size(); item < whole.item_count(); ++item) {
    part.items_.push_back(item);
  }
  return part;
}

bool TagPart::is_of_tensors(size_t page) const {
  const auto& runs = plan_.pages[page];
  return !runs.empty() && runs.front().item < schema_.tensors.size();
}

Manifest TagPart::manifest(std::vector<Digest> pages) const {
  Manifest manifest = whole_->manifest();
  manifest.schema = blake3(encode_schema(schema_));
  manifest.pages = std::move(pages);
  return manifest;
}

Result<PartPage> TagPart::page(size_t number) {
  PartPage part;
  CAIRN_CHECK(gather(plan_.pages[number], part));
  part.digest = blake3(encode_page(part.page));
  CAIRN_CHECK(settle(part));
  return part;
}

Status TagPart::gather(const std::vector<PageRun>& runs, PartPage& part) {
  for (const PageRun& run : runs) {
    const size_t item = items_[run.item];
    for (uint64_t chunk = run.first_chunk; chunk < run.first_chunk + run.chunk_count; ++chunk) {
      const PagePlan::Place place = whole_->plan().place(item, chunk);
      CAIRN_TRY(const auto loaded, whole_->page(place.page));
      part.page.entries.push_back(loaded->page.entries[place.entry]);
      uint32_t slot = loaded->first_slots[place.entry];
      for (const Copy& copy : loaded->copies(place.entry)) {
        part.locator.copies.push_back(copy);
        part.refs.push_back({static_cast<uint32_t>(place.page), slot++});
      }
    }
  }
  return {};
}

/// A page that the whole or its bases have already stays there, with its copies: bases are found by
/// its digest, and what is made from them must not be what they are made from. Nothing is made
/// from those that the tag does not need, and gc may have taken them.
Status TagPart::settle(PartPage& part) {
  const auto number = whole_->page_numbers().of(part.digest);
  if (!number) return {};
  CAIRN_TRY(const auto standing, whole_->page(*number));
  if (!needed_) {
    CAIRN_TRY(needed_, NeededBases::of(*whole_));
  }
  for (uint32_t slot = 0; slot < part.locator.copies.size(); ++slot) {
    const CopyRef ref{*number, slot};
    if (!needed_->contains(ref)) continue;
    part.locator.copies[slot] = standing->locator.copies[slot];
    part.refs[slot] = ref;
  }
  part.place = whole_->table().place(*number);
  return {};
}

}  // namespace cairn
