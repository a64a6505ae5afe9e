#include "lib/saved_pages.h"

#include <algorithm>

namespace cairn {

SavedPages::SavedPages(const SavePlan& plan, BaseTag* base, const ChunkWriter& writer,
                       PackTables& tables)
    : plan_(plan), base_(base), writer_(writer), tables_(tables) {
  for (const auto& runs : plan.pages.pages) {
    size_t entries = 0;
    for (const PageRun& run : runs) entries += run.chunk_count;
    Filled& page = pages_.emplace_back();
    page.page.entries.resize(entries);
    page.is_of_base.resize(entries);
    page.is_renewed.resize(entries);
  }
}

void SavedPages::set_copy(const OwnPlace& place, ChunkCopy copy) {
  const std::lock_guard lock(mutex_);
  pages_[place.page].copies[{place.entry, place.unit}] = std::move(copy);
}

std::vector<Digest> SavedPages::digests() const {
  std::vector<Digest> digests;
  for (const Filled& page : pages_) digests.push_back(blake3(encode_page(page.page)));
  return digests;
}

static std::vector<uint32_t> first_slots_of(const Page& page) {
  std::vector<uint32_t> slots;
  uint32_t slot = 0;
  for (const ChunkEntry& entry : page.entries) {
    slots.push_back(slot);
    slot += static_cast<uint32_t>(copy_count(entry));
  }
  return slots;
}

/// The copy with its bases as a locator names them.
Copy SavedPages::named(const ChunkCopy& found, const std::vector<Digest>& digests) const {
  Copy copy = found.copy;
  for (const CopyBase& base : found.bases) {
    if (const auto* of_base = std::get_if<BaseRef>(&base)) {
      copy.bases.push_back(*of_base);
      continue;
    }
    const auto& place = std::get<OwnPlace>(base);
    std::vector<uint32_t>& slots = first_slots_[place.page];
    if (slots.empty()) slots = first_slots_of(pages_[place.page].page);
    copy.bases.push_back({digests[place.page], slots[place.entry] + place.unit});
  }
  return copy;
}

Result<std::vector<Copy>> SavedPages::copies_of_base(size_t item, uint64_t chunk,
                                                     const ChunkEntry& entry) const {
  auto copies = base_->equal_copies(item, chunk, entry);
  if (!copies) return fail(Code::kCorrupt, "the base tag cannot be read any more");
  return *std::move(copies);
}

Result<ChunkCopy> SavedPages::copy(const Unit& unit, const OwnPlace& place,
                                   const Digest& digest) const {
  const Filled& page = pages_[place.page];
  if (page.is_of_base[place.entry] != 0) {
    CAIRN_TRY(const auto copies,
              copies_of_base(unit.item, unit.chunk, page.page.entries[place.entry]));
    return ChunkCopy::of_base(copies[place.unit]);
  }
  return written(page, place.entry, place.unit, digest);
}

/// The copy of a unit that this save has written, or taken from elsewhere than the base.
ChunkCopy SavedPages::written(const Filled& page, uint32_t entry, uint32_t unit,
                              const Digest& digest) const {
  const auto own = page.copies.find({entry, unit});
  return own != page.copies.end() ? own->second : writer_.find(digest);
}

/// The copies of the run's entry of that number.
Status SavedPages::add_copies(const PageRun& run, uint64_t number, const Filled& page,
                              const std::vector<Digest>& digests, Locator& locator) const {
  const auto at = static_cast<uint32_t>(run.first_entry + number);
  const ChunkEntry& entry = page.page.entries[at];
  if (page.is_of_base[at] != 0) {
    CAIRN_TRY(const auto copies, copies_of_base(run.item, run.first_chunk + number, entry));
    locator.copies.insert(locator.copies.end(), copies.begin(), copies.end());
    return {};
  }
  uint32_t unit = 0;
  for_each_digest(entry, [&](const Digest& digest) {
    locator.copies.push_back(named(written(page, at, unit++, digest), digests));
  });
  return {};
}

Result<Locator> SavedPages::locator(size_t number, const std::vector<Digest>& digests) const {
  first_slots_.resize(pages_.size());
  Locator locator;
  for (const PageRun& run : plan_.pages.pages[number]) {
    for (uint64_t i = 0; i < run.chunk_count; ++i) {
      CAIRN_CHECK(add_copies(run, i, pages_[number], digests, locator));
    }
  }
  return locator;
}

/// Of each slot of the page whether it was written although the base has the same chunk.
std::vector<bool> SavedPages::renewed_slots(size_t number) const {
  const Filled& page = pages_[number];
  std::vector<bool> renewed;
  for (size_t i = 0; i < page.page.entries.size(); ++i) {
    renewed.insert(renewed.end(), copy_count(page.page.entries[i]), page.is_renewed[i] != 0);
  }
  return renewed;
}

bool hold_all(PackTables& tables, const DecodePlan& plan) {
  return std::all_of(plan.copies.begin(), plan.copies.end(),
                     [&](const PlannedCopy& each) { return tables.holds(each.copy, each.digest); });
}

std::optional<Locator> SavedPages::sound_copies(size_t page_number, const Digest& digest,
                                                const Locator& fresh) {
  Checkpoint& before = base_->checkpoint();
  const auto number = before.page_numbers().of(digest);
  if (!number) return std::nullopt;
  const auto page = before.page(*number);
  if (!page) return std::nullopt;
  const std::vector<bool> renewed = renewed_slots(page_number);
  if (!needed_bases_) {
    auto needed = NeededBases::of(before);
    if (!needed) return std::nullopt;
    needed_bases_ = *std::move(needed);
  }
  Locator sound = (*page)->locator;
  for (uint32_t slot = 0; slot < sound.copies.size(); ++slot) {
    if (renewed[slot] || !needed_bases_->contains({*number, slot})) {
      sound.copies[slot] = fresh.copies[slot];
      continue;
    }
    const CopyRef ref{*number, slot};
    const auto plan = plan_decoding(before, {&ref, 1});
    if (!plan || !hold_all(tables_, *plan)) return std::nullopt;
  }
  return sound;
}

}  // namespace cairn
