// The tags of a store, as a root and its tag tables have them.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "store/tag_tables.h"

namespace cairn {

/// All tags at one instant.
struct TagList {
  uint64_t commit = 0;         ///< of the root they were read from
  std::vector<TagEntry> tags;  ///< in name order

  const TagEntry* find(std::string_view name) const { return find_entry(tags, name); }
};

/// Answers questions, reading no more tables than they lead to, and takes changes in memory, which
/// change_tags() makes durable.
/// Threads: one. Pointers to entries hold until the next change.
/// Errors of all that may read a table: kCorrupt.
class TagBook {
 public:
  using Wanted = std::function<bool(const TagEntry&)>;

  /// `metas` must live as long as the book.
  TagBook(FilePool& metas, Root root);

  uint64_t commit() const { return commit_; }
  /// nullptr when there is no such tag.
  Result<const TagEntry*> find(std::string_view name);
  /// Of the tags whose names begin with `prefix` and that are wanted the newest by commit order;
  /// nullptr when there is none.
  Result<const TagEntry*> newest(std::string_view prefix, const Wanted& wanted);
  Result<const TagEntry*> newest(std::string_view prefix);
  /// All tags but those in the tables with the digests `seen`.
  Result<TagList> list(const std::set<Digest>& seen = {});

  /// See TagTables::met_missing.
  bool met_missing_table() const { return tables_.met_missing(); }

  /// Puts the entry in place of any other of its name.
  void put(TagEntry entry);
  void remove(const std::string& name);
  /// A table lies elsewhere from now on. False when there is none at `from`.
  bool move_table(const Reference& from, const Reference& to) { return tables_.move(from, to); }

  /// Whether there are more entries outside of tables than a root should have.
  bool wants_fold() const;
  /// Moves entries into tables until there are not. Errors: those of `writer` too; the book must
  /// not be used any more then.
  Status fold(MetaWriter& writer);

  /// See TagTables::object.
  Result<Bytes> table_object(const TagTableRef& table) const { return tables_.object(table); }

  /// What a root of these tags has.
  std::vector<TagEntry> entries() const;
  const std::vector<TagTableRef>& tables() const { return tables_.refs(); }

 private:
  const uint64_t commit_;
  TagTables tables_;
  TagOverlay own_;  // entries of the root itself
};

}  // namespace cairn
