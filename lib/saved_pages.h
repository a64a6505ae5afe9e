// The pages of a save, being filled, and where the copies of their entries lie. Chunks that this
// process stores and those that other processes have stored meet here.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base_tag.h"
#include "lib/chunk_writer.h"
#include "lib/save_plan.h"
#include "store/needed_bases.h"
#include "store/pack_tables.h"

namespace cairn {

/// Threads: filling, any, each place by one; the rest, one at a time.
class SavedPages {
 public:
  /// `base`: may be null. REQUIRES: all outlive this.
  SavedPages(const SavePlan& plan, BaseTag* base, const ChunkWriter& writer, PackTables& tables);

  void set_entry(const OwnPlace& place, ChunkEntry entry) {
    pages_[place.page].page.entries[place.entry] = std::move(entry);
  }
  const ChunkEntry& entry(const OwnPlace& place) const {
    return pages_[place.page].page.entries[place.entry];
  }
  /// All copies of the entry are the base's; else they are with the chunk writer, or set_copy's.
  void take_from_base(const OwnPlace& place) { pages_[place.page].is_of_base[place.entry] = 1; }
  /// The base has the same chunk, but its copies would not do.
  void renew(const OwnPlace& place) { pages_[place.page].is_renewed[place.entry] = 1; }
  bool is_renewed(const OwnPlace& place) const {
    return pages_[place.page].is_renewed[place.entry] != 0;
  }
  /// A copy that stands for this place alone.
  void set_copy(const OwnPlace& place, ChunkCopy copy);

  // REQUIRES, from here on: everything is filled.

  const Page& page(size_t number) const { return pages_[number].page; }
  std::vector<Digest> digests() const;
  /// The copy of one unit, whose digest that is. Errors: those of reading the base again.
  Result<ChunkCopy> copy(const Unit& unit, const OwnPlace& place, const Digest& digest) const;
  /// The page's locator. `digests`: of all pages. Errors: those of reading the base again.
  Result<Locator> locator(size_t page, const std::vector<Digest>& digests) const;
  /// What the base has for a page of that digest, if it can be read and its packs hold it. Copies
  /// that the base does not need, which its lease does not protect, are those of `fresh`: nothing
  /// of the base is made from them, so they may be made from it. So are those that had to be
  /// written anew, which stand alone. `number`: of the page in this save.
  std::optional<Locator> sound_copies(size_t number, const Digest& page, const Locator& fresh);

 private:
  struct Filled {
    Page page;
    std::vector<uint8_t> is_of_base, is_renewed;                // per entry
    std::map<std::pair<uint32_t, uint32_t>, ChunkCopy> copies;  // by entry and unit
  };

  Copy named(const ChunkCopy& found, const std::vector<Digest>& digests) const;
  Result<std::vector<Copy>> copies_of_base(size_t item, uint64_t chunk,
                                           const ChunkEntry& entry) const;
  ChunkCopy written(const Filled& page, uint32_t entry, uint32_t unit, const Digest& digest) const;
  Status add_copies(const PageRun& run, uint64_t number, const Filled& page,
                    const std::vector<Digest>& digests, Locator& locator) const;
  std::vector<bool> renewed_slots(size_t number) const;

  const SavePlan& plan_;
  BaseTag* const base_;
  const ChunkWriter& writer_;
  PackTables& tables_;
  std::vector<Filled> pages_;
  mutable std::vector<std::vector<uint32_t>> first_slots_;  // by page and entry
  std::optional<NeededBases> needed_bases_;                 // of the base, once asked for
  std::mutex mutex_;                                        // of Filled::copies
};

/// Whether the packs hold all copies of the plan.
bool hold_all(PackTables& tables, const DecodePlan& plan);

}  // namespace cairn
