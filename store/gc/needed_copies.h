// Which stored copies and metadata objects the tags of a store need, file by file: what a collector
// that moves them must take along, and how much of each file is dead.
#pragma once

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "store/bases.h"
#include "store/copy_place.h"
#include "store/gc/file_marks.h"
#include "store/gc/needed_objects.h"
#include "store/seen_copies.h"

namespace cairn {

struct NeededPlace {
  CopyPlace place;
  uint32_t aux_bytes = 0;  ///< of bases and parameters in the pack's table

  auto operator<=>(const NeededPlace&) const = default;
};

/// Errors of add_tag: kCorrupt, also when a copy lies in a pack that the table does not list;
/// kNewerFormat for an encoding that this version does not know. Threads: one.
class NeededCopies {
 public:
  explicit NeededCopies(const Store& store) : store_(store) {}

  Status add_tag(const TagEntry& tag);
  /// All of them, and the book's tables.
  Status add_tags(const TagList& list, const TagBook& book);

  /// In increasing order, none twice. Empty for a pack of which no tag needs a copy.
  const std::vector<NeededPlace>& in_pack(const FileId& pack);
  /// The sizes that the file would have if it held only what is needed.
  uint64_t needed_pack_bytes(const FileId& pack);
  uint64_t needed_meta_bytes(const FileId& meta) const { return objects_.needed_bytes(meta); }
  /// The number of the oldest commit that needs something in the pack: old data lies together.
  uint64_t oldest_commit(const FileId& pack) const;

 private:
  struct Pack {
    std::vector<NeededPlace> places;
    size_t settled = 0;  // places[0, settled) are in order, none twice
    uint64_t oldest_commit = UINT64_MAX;
  };

  Status add_table(const LocatorTable& table, uint64_t commit);
  Status add_page(const Locator& locator, const Locator& before);
  Status add_bases(std::vector<CopyRef> wanted, const LocatorTable& table,
                   const PageNumbers& numbers);
  Result<Locator> read_locator(const LocatorTable& table, size_t page) const;
  Status add_copy(const Copy& copy);
  static void settle(Pack& pack);

  const Store& store_;
  std::map<FileId, Pack> packs_;
  NeededObjects objects_;
  std::set<Reference> seen_tables_;
  SeenCopies seen_copies_;
  std::vector<Locator> previous_;             // by page number, of the tag before
  std::unordered_map<FileId, Pack*> listed_;  // in the table at hand
};

}  // namespace cairn
