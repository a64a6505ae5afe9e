// The guards of the protocol (docs/PROTOCOL.md, "Guards"). Each can be switched off to show that it
// is needed: the model then finds a sequence of steps that breaks a promise.
#pragma once

#include <array>
#include <bitset>
#include <string_view>

namespace cairn::model {

enum class Guard {
  kRelook,        // a saver looks at the root again once its lease is durable
  kSameBase,      // ... and compares the base's whole entry, not only its name
  kSoftCheck,     // commit looks at each pack found by look-up, under the lock
  kEpochOnly,     // ... whatever the epoch says
  kRemark,        // condemn marks the tags of the root it is about to replace
  kRelist,        // condemn lists the leases again under the lock
  kCondemnFirst,  // a pack is named in the root as condemned before it is deleted
  kClearGone,     // it leaves that list only when the file is gone
  kSwapCheck,     // an entry is exchanged only if it is still the one that was planned from
  kMoveLease,     // copy-forward has a lease of its own for the pack it writes
  kOwnPlaces,     // ... and a new entry needs no packs but its old ones and those of the mover
  kExists,        // commit refuses a name that is taken, unless told to replace it
  kRevoke,        // commit refuses a session that the root says is revoked
  kRevokeFirst,   // a session is revoked in the root before its lease is taken away
  kKeepRevoked,   // a revocation stays until the session's lease is gone
  kOwnLease,      // commit refuses a session whose lease is gone
  kAllParts,      // parts are united only when all are there
  kPartLast,      // a part is told of after its packs are durable
  kPartPacks,     // commit looks at each pack of the parts, under the lock
  kPartLeases,    // the lease of a part lives until the parts are united
  kRepeat,        // a commit of the session that made the entry is success
  kKeepFiles,     // after a commit of unknown outcome nobody but gc removes the files
  kReread,        // a reader that finds a file gone reads the root again
  kRestart,       // ... and begins anew with the entry it finds
  kRereadOften,   // ... as often as the entry has changed, not only once
  kSyncPacks,     // packs are durable before the root names them
  kSyncRoot,      // gc makes the root durable before it deletes, even if another wrote it
  kAckLate,       // a save is acknowledged after the new root is durable
  kSwapRoot,    // the root is replaced only if it is still the one that was read (lock, or put-if)
  kFilesFirst,  // gc lists the files before it lists the leases
  kRootFirst,   // ... and the leases after it has read the root that it replaces
  kLeavePacks,  // a push that fails leaves its packs to gc: another may go on from them
  kUploadsFirst,  // gc lists the uploads before it lists the leases
  kCount
};

inline constexpr std::array<std::string_view, static_cast<size_t>(Guard::kCount)> kGuardNames = {
    "relook",       "samebase",    "softcheck",   "epochonly", "remark",    "relist",
    "condemnfirst", "cleargone",   "swapcheck",   "movelease", "ownplaces", "exists",
    "revoke",       "revokefirst", "keeprevoked", "ownlease",  "allparts",  "partlast",
    "partpacks",    "partleases",  "repeat",      "keepfiles", "reread",    "restart",
    "rereadoften",  "syncpacks",   "syncroot",    "acklate",   "swaproot",  "filesfirst",
    "rootfirst",    "leavepacks",  "uploadsfirst"};

using Guards = std::bitset<static_cast<size_t>(Guard::kCount)>;

}  // namespace cairn::model
