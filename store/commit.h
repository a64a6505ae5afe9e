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

/// Publishes `entry` (commit number and pin are set here). Everything it refers to must be durable.
/// `reused_packs`: packs outside the leased base that the checkpoint counts on; they are checked
/// under the lock to exist and not to be condemned (kBusy when one is: write those chunks anew).
/// Committing the same session twice is success. Errors: kExists, kBusy (also when the session was
/// revoked: save again). After an error `may_be_visible` tells whether the tag may stand in the
/// root nevertheless: then its files must be kept.
Result<CommitResult> commit_tag(const Store& store, const TagEntry& entry, IfExists if_exists,
                                const std::vector<FileId>& reused_packs,
                                std::chrono::milliseconds wait, bool& may_be_visible);

/// Gives a checkpoint a second name. Errors: kNotFound, kExists.
Result<TagEntry> fork_tag(const Store& store, const std::string& new_name, const std::string& name,
                          std::chrono::milliseconds wait);

}  // namespace cairn
