// The tag tables of a root: entries of tags in name order, parted by name among the tables, so that
// finding or changing a tag reads one of them, however many tags there are.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/file_pool.h"
#include "store/root_format.h"

namespace cairn {

class MetaWriter;

/// Entries by name; one that is `removed` hides a table's.
using TagOverlay = std::map<std::string, TagEntry, std::less<>>;

/// Threads: one. Errors of all that may read a table: kCorrupt.
class TagTables {
 public:
  using Entries = std::vector<TagEntry>;

  /// `metas` must live as long as this.
  TagTables(FilePool& metas, std::vector<TagTableRef> tables)
      : metas_(metas), tables_(std::move(tables)) {}

  const std::vector<TagTableRef>& refs() const { return tables_; }
  bool empty() const { return tables_.empty(); }
  size_t size() const { return tables_.size(); }
  /// The table that holds the name if any does. There must be a table.
  size_t number_of(std::string_view name) const;

  /// Reads a table once, and keeps it for the next question.
  Result<std::shared_ptr<const Entries>> read(size_t number);
  /// Reads a table without keeping it.
  Result<Entries> take(size_t number);

  /// A table as it lies in its pack, also where it was only measured so far.
  Result<Bytes> object(const TagTableRef& table) const;

  /// Whether the file of a table was not there: a collector may have removed it since the root was
  /// read, or it is lost.
  bool met_missing() const { return met_missing_; }

  /// The table lies elsewhere from now on. False when there is none at `from`.
  bool move(const Reference& from, const Reference& to);

  /// Writes tables anew with entries of the overlay in them, which leave it, until no more than
  /// `left_max` are left: first those that the fewest tables are written for.
  /// Errors: also those of `writer`; the object must not be used any more then.
  Status fold(TagOverlay& overlay, size_t left_max, MetaWriter& writer);

 private:
  class Fold;

  FilePool& metas_;
  std::vector<TagTableRef> tables_;                         // in name order
  std::map<Digest, std::shared_ptr<const Entries>> known_;  // that were read or made
  bool met_missing_ = false;
};

/// The entry of that name, in entries in name order; nullptr when there is none.
const TagEntry* find_entry(const std::vector<TagEntry>& entries, std::string_view name);

}  // namespace cairn
