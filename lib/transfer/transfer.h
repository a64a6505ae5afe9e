// A tag goes from one store to another: pull and push are this, with another store on the far side.
// Only what the destination lacks is moved (docs/PROTOCOL.md, section 9).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/transfer/share.h"

namespace cairn {

struct TransferRequest {
  std::string tag = {};  ///< its name in the source
  std::string as = {};   ///< and in the destination; empty: the same
  /// Globs of tensors' names: only those that match, with all attachments; empty: all of the tag.
  /// It is the checkpoint that thinning away the others would leave.
  std::vector<std::string> tensors = {};
  /// kError never meets a tag of the name; kSame is content with the same checkpoint.
  IfExists if_exists = IfExists::kSame;
  bool dry_run = false;  ///< only says what would be moved
  /// Only fetches what falls to the share, and leaves it as a transfer does that is killed.
  std::optional<Share> share = {};
  /// Copies that are made from others come by themselves: decoded in the source, and encoded anew.
  bool rebase = false;
  unsigned connections = 0;  ///< ranges under way at once; 0: as many as suit the source
  /// For what is under way: bytes that come or go, and what is decoded of them. The plan takes
  /// about 500 bytes a chunk beside it.
  uint64_t memory_bytes = kGiB;
  LookUp look_up = {};  ///< optional: what the destination has beside its tags
  CallOptions call = {};
};

struct TransferResult {
  std::string tag = {};
  Digest manifest;
  /// New and stored bytes are those of the destination; of a dry run and of a share without
  /// metadata.
  TagFacts facts;
  uint64_t reused_bytes = 0;
  /// Stored bytes of copies; of a dry run, those that would be, at most where it is a rebase.
  uint64_t moved_bytes = 0;
  uint64_t received_bytes = 0;  ///< read from packs of the source for them
  /// Of moved_bytes, what earlier calls had brought; of a dry run, if it is whole.
  uint64_t resumed_bytes = 0;
  uint64_t alone_chunks = 0;   ///< that came by themselves, by TransferRequest::rebase
  bool already_there = false;  ///< the destination has the checkpoint under that name
  std::string base = {};       ///< the tag of the destination that most is shared with
  /// Of a share: the files that were left, below the store's folder, in the order in which they may
  /// be put into another store, where the next transfer of the tag goes on from them.
  std::vector<std::string> left = {};
  std::vector<std::string> notes = {};  ///< what was passed over, and why
  double elapsed_s = 0;
};

/// Both stores cut chunks by one rule; else kUsage. Every byte is checked: copies that stand alone
/// as they arrive, those made from others before the tag is made visible. Errors: kNotFound for no
/// such tag; kExists; kCorrupt naming the pack; kUnreachable, kAuth, kNoSpace, kBusy and
/// kCancelled: then what has arrived stays (in a bucket the packs that are whole), unless a
/// collector takes it, and the next call that can use it goes on from there, also for another tag
/// or from another store; so it does where the source had no longer what it should, or had it
/// damaged. After other errors the destination has no files of the tag, but of a commit of which it
/// is not known whether it happened, and packs in a bucket, which others may refer to: a collector
/// takes them.
Result<TransferResult> transfer_tag(const Store& from, const Store& to,
                                    const TransferRequest& request);

/// What can be told before there is a destination. Errors: kUsage for its name there; kNotFound
/// where no tensor matches; those of reading the source.
Status check_transfer(const Store& from, const TransferRequest& request);

/// What would be moved into a store that is empty. Errors: those of reading the source.
Result<TransferResult> measure_transfer(const Store& from, const TransferRequest& request);

}  // namespace cairn
