// The mark of a collection: which files of a store someone needs.
#pragma once

#include <set>
#include <unordered_set>

#include "store/file_list.h"
#include "store/gc/live_sessions.h"
#include "store/locator_table.h"
#include "store/manifest.h"
#include "store/store.h"

namespace cairn {

/// What a tag or a lease refers to, read.
struct TagParts {
  Manifest manifest;
  LocatorTable table;
};
Result<TagParts> read_tag_parts(const Store& store, const Reference& manifest,
                                const Reference& table);

/// Whole files, by what refers to them. Threads: one.
class FileMarks {
 public:
  explicit FileMarks(const Store& store) : store_(store) {}

  /// Marks all files that a tag needs. One whose locator table was marked before costs nothing.
  /// Errors: whatever keeps its parts from being read; nothing may be collected then.
  Status mark_tag(const TagEntry& tag);
  /// Marks the files of a session that lives, and those of its base; not those of a dead one.
  Status mark_lease(const FoundLease& found);
  void mark_tables(const std::vector<TagTableRef>& tables);

  bool is_needed(const StoredFile& file) const {
    const auto& marked = file.kind == FileKind::kPack ? packs_ : metas_;
    return sessions_.contains(file.file.session) || marked.contains(file.file);
  }

 private:
  Status mark_parts(const Reference& manifest, const Reference& table);

  const Store& store_;
  std::unordered_set<FileId> packs_, metas_;
  std::set<SessionId> sessions_;  // that live: all files of theirs are needed
  std::set<Reference> seen_tables_;
};

}  // namespace cairn
