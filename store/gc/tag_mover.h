// Writes the metadata of standing tags anew, for copies and objects that move (docs/PROTOCOL.md,
// section 6). Manifests, pages and digests stay what they are; only where things lie changes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "store/gc/move_plan.h"
#include "store/locator.h"
#include "store/locator_table.h"
#include "store/meta_pack.h"
#include "store/tag_book.h"

namespace cairn {

/// Tags share pages and locators: each is written once. What need not be written stays where the
/// tag has it: the place of an equal one of another tag may be gone by the time at which entries
/// are exchanged, since the session's lease protects only what the session writes. Threads: one.
class TagMover {
 public:
  /// `session` writes the packs of the plan; `metas` belongs to it too.
  TagMover(const Store& store, const MovePlan& plan, const SessionId& session, MetaWriter& metas);

  /// Before move(): pages that have the locator `old` get this one, which `metas` holds at `place`.
  void replace_locator(const Digest& old, const Reference& place, Locator locator);

  /// The entry with which the tag needs none of the plan's victims; nullopt when it needs none
  /// now. All it refers to is durable once `metas` is finished. Errors: kCorrupt.
  Result<std::optional<TagEntry>> move(const TagEntry& tag);

  /// Where a tag table of the book will lie; nullopt when it stays where it is.
  Result<std::optional<Reference>> move_tag_table(const TagBook& book, const TagTableRef& table);

  /// What was moved so far, and what need not move, still needs of the old packs.
  const NeededObjects& kept() const { return kept_; }

 private:
  struct NewPlace {
    CopyPlace old;
    FileId pack;
    uint64_t offset = 0;
  };
  struct MovedLocator {
    std::optional<Reference> written;  // nullopt: as it was
    std::map<FileId, uint64_t> uses;   // stored bytes by pack
  };
  struct MovedTable {
    Reference manifest, table;
  };

  bool is_touched(const TagEntry& tag, const LocatorTable& table) const;
  bool leaves(const Reference& reference) const { return metas_gone_.contains(reference.file); }
  Result<Reference> move_object(const Reference& reference, ObjectKind kind);
  Result<PagePlace> move_place(const PagePlace& place);
  Result<const MovedLocator*> move_locator(const Reference& reference);
  bool relocate(Copy& copy) const;
  Result<std::optional<MovedTable>> move_table(const TagEntry& tag);
  Status rewrite(const LocatorTable& old, LocatorTable& table);
  Status rewrite_closure(const LocatorTable& old, LocatorTable& table,
                         std::map<FileId, uint64_t>& uses);
  Result<Locator> moved_locator(const LocatorTable& table, size_t page) const;

  const Store& store_;
  MetaWriter& writer_;
  std::unordered_map<FileId, std::vector<NewPlace>> places_;  // by source pack, in order
  std::set<FileId> packs_gone_, metas_gone_;
  NeededObjects kept_;
  std::map<Digest, Reference> objects_;      // moved already
  std::map<Digest, MovedLocator> locators_;  // by the digest of the old one
  std::map<Digest, Locator> replaced_;       // so, too
  std::map<Reference, std::optional<MovedTable>> tables_;
};

}  // namespace cairn
