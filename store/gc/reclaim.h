// Mark, revoke, condemn, delete: the steps G1 to G8 of docs/PROTOCOL.md, section 5.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/gc/file_marks.h"

namespace cairn {

/// What a collection sees of a store before it touches anything (G1).
struct Survey {
  Survey(const Store& store, TagBook tags) : book(std::move(tags)), marks(store) {}

  TagBook book;
  TagList list;  ///< all tags of the book
  std::vector<FoundLease> leases;
  FileMarks marks;
  std::vector<StoredFile> files;
  std::vector<UnfinishedFile> unfinished;  ///< where files appear whole
  int64_t now_ns = 0;                      ///< by the clock of the store's file system

  /// Files that nobody needs, in the order of the list: garbage, leftovers of dead sessions, and
  /// what an earlier collection condemned and did not come to delete.
  std::vector<StoredFile> unneeded() const;
};
/// As if the tags `without` were not there. Takes no lock. Errors: whatever keeps the needs of a
/// tag or of a live session from being known.
Result<Survey> survey_store(const Store& store, const std::set<std::string>& without = {});

/// Time for most reads of a checkpoint that was forgotten a moment ago to end.
inline constexpr std::chrono::seconds kBucketGrace{60};

struct ReclaimRequest {
  Wait wait = std::chrono::seconds(60);  ///< for the lock of the root
  /// Between condemning and deleting; none given: 0, and kBucketGrace where readers hold no file
  /// open.
  std::optional<std::chrono::seconds> reader_grace;
  const std::atomic<bool>* stop = nullptr;  ///< set by another thread: end with kCancelled
  /// Called with the files that are about to be deleted: whoever looks up copies must stop finding
  /// theirs. May do nothing: a commit checks what it reuses.
  std::function<void(const std::vector<FileId>& packs)> before_delete;
};

struct Reclaimed {
  std::vector<StoredFile> deleted;
  uint64_t copies = 0;                ///< that lay in deleted data packs
  std::vector<std::string> failures;  ///< files that could not be removed, and why
};

/// Copies that the table of a data pack names; 0 for other files and for a pack without a table.
uint64_t count_copies(const Store& store, const StoredFile& file);

/// Deletes what nobody needs. A crash at any instant loses nothing; what it leaves is found by the
/// next call. Errors: those of survey_store; kBusy; kNoSpace; kCancelled (what was deleted until
/// then is gone).
Result<Reclaimed> reclaim(const Store& store, const ReclaimRequest& request);

}  // namespace cairn
