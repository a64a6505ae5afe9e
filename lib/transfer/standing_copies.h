// What the store that a tag comes to has already: the copies of one of its tags, which the
// session's lease protects, and copies that a look-up finds elsewhere.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "lib/base_tag.h"
#include "store/needed_bases.h"
#include "store/pack_tables.h"

namespace cairn {

/// Copies of the base are taken over with all that they are made from, or not at all: what its
/// pages name is found there under the same names, so that no circle can arise with copies that
/// come from elsewhere. Threads: one.
class StandingCopies {
 public:
  /// `base`: may be null; then `tables` may be, where nothing is added. `only_alone`: copies that
  /// are made from others do not count. REQUIRES: all outlive this.
  StandingCopies(BaseTag* base, PackTables* tables, bool only_alone = false)
      : base_(base), tables_(tables), only_alone_(only_alone) {}

  bool only_alone() const { return only_alone_; }

  /// Where the base has the page; nullptr when it does not.
  const PagePlace* page_place(const Digest& page) const;
  /// REQUIRES: page_place(page) is not null. Errors: those of reading it.
  Result<std::shared_ptr<const LoadedPage>> page(const Digest& page);

  /// The base's copy in that place, where the base needs it.
  Result<std::optional<Copy>> of_place(const Digest& page, uint32_t slot);
  /// A copy of a chunk, wherever it lies.
  Result<std::optional<Copy>> of_digest(const Digest& digest);

  /// Copies found by a look-up, in the order of `digests`; those that stand alone and are there.
  /// Errors: those of a place that is not reached.
  Status add_found(const std::vector<Digest>& digests,
                   const std::vector<std::optional<Copy>>& found);
  /// The packs of those that were asked for.
  const std::set<FileId>& reused_packs() const { return reused_packs_; }
  /// What was wrong with the base when it was asked for: metadata that cannot be read, or a copy
  /// that is not where the base says. Then none of its copies may be used. nullopt: nothing.
  const std::optional<Error>& fault() const { return fault_; }

 private:
  template <class T>
  Result<T> noted(Result<T> asked);
  Status find_needed();
  Status read_digests();
  Result<std::optional<Copy>> copy_at(const Digest& page, uint32_t slot);
  Result<std::optional<Copy>> copy_of(const Digest& digest);
  Result<bool> holds(const Copy& copy, const Digest& digest);

  BaseTag* base_;
  PackTables* tables_;
  bool only_alone_;
  std::optional<NeededBases> needed_;
  bool has_read_digests_ = false;
  std::unordered_map<Digest, CopyRef> refs_;  // of the base; those that stand alone rather
  std::unordered_map<Digest, Copy> found_;
  std::set<FileId> reused_packs_;
  std::optional<Error> fault_;
};

}  // namespace cairn
