// The commit of a save: the one step that makes a tag visible (docs/PROTOCOL.md).
#pragma once

#include <chrono>
#include <vector>

#include "store/root_format.h"
#include "store/store.h"

namespace cairn {

enum class IfExists : uint8_t {
  kError,    ///< refuse with kExists
  kSame,     ///< fine when the manifest is the same
  kReplace,  ///< the new checkpoint takes the name over
};

struct CommitResult {
  TagEntry entry;        ///< as it stands in the root now
  bool already = false;  ///< kSame and the tag had this manifest: nothing was changed
};

/// What a commit that failed leaves the caller to know.
struct CommitFailure {
  bool may_be_visible = false;  ///< the tag may stand in the root all the same: keep its files
  bool lost_reused = false;     ///< a pack of reused_packs is gone or bad: save without look-ups
};

/// Publishes `entry` (commit number and pin are set here). Everything it refers to must be durable.
/// `reused_packs`: packs outside the leased base that the checkpoint counts on; they are checked
/// under the lock to exist and not to be condemned. Committing the same session twice is success.
/// Errors: kExists, kBusy (a reused pack is gone, or the session was revoked or has lost its lease:
/// save again);
/// `failure` is set with every error.
Result<CommitResult> commit_tag(const Store& store, const TagEntry& entry, IfExists if_exists,
                                const std::vector<FileId>& reused_packs, const Wait& wait,
                                CommitFailure& failure);

/// Gives a checkpoint a second name; success when the name has it already.
/// Errors: kUsage (a malformed name), kNotFound, kExists.
Result<TagEntry> fork_tag(const Store& store, const std::string& new_name, const std::string& name,
                          const Wait& wait);

}  // namespace cairn
