// A tag goes from one store to another: pull and push are this, with another store on the far side.
// Only what the destination lacks is moved (docs/PROTOCOL.md, section 9).
#pragma once

#include <string>

#include "lib/cairn.hpp"

namespace cairn {

struct TransferRequest {
  std::string tag = {};  ///< its name in the source
  std::string as = {};   ///< and in the destination; empty: the same
  /// kError never meets a tag of the name; kSame is content with the same checkpoint.
  IfExists if_exists = IfExists::kSame;
  bool dry_run = false;      ///< only says what would be moved
  unsigned connections = 0;  ///< ranges under way at once; 0: as many as suit the source
  bool resumes = true;       ///< goes on from what an earlier call has brought
  LookUp look_up = {};       ///< optional: what the destination has beside its tags
  CallOptions call = {};
};

struct TransferResult {
  std::string tag = {};
  Digest manifest;
  TagFacts facts;  ///< new and stored bytes are those of the destination
  uint64_t reused_bytes = 0;
  uint64_t moved_bytes = 0;     ///< stored bytes of copies; of a dry run, those that would be
  uint64_t received_bytes = 0;  ///< read from packs of the source for them
  uint64_t resumed_bytes = 0;   ///< of moved_bytes, what an earlier call had brought
  bool already_there = false;   ///< the destination has the checkpoint under that name
  std::string base = {};        ///< the tag of the destination that most is shared with
  double elapsed_s = 0;
};

/// Both stores cut chunks by one rule; else kUsage. Every byte is checked: copies that stand alone
/// as they arrive, those made from others before the tag is made visible. Errors: kNotFound for no
/// such tag; kExists; kCorrupt naming the pack; kUnreachable, kNoSpace and kCancelled: then
/// what has arrived stays, and the next call goes on from there, unless a collector took it. After
/// other errors the destination has no files of the tag.
Result<TransferResult> transfer_tag(const Store& from, const Store& to,
                                    const TransferRequest& request);

}  // namespace cairn
