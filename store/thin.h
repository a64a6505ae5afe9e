// Thinning: a standing tag loses some of its tensors and keeps its name, its place and all the rest
// (docs/PROTOCOL.md, section 6). What it loses is gc's to collect.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "store/schema.h"
#include "store/store.h"

namespace cairn {

struct ThinnedTag {
  TagEntry before, after;

  uint64_t tensors() const { return before.facts.tensors - after.facts.tensors; }
  uint64_t logical_bytes() const { return before.facts.logical_bytes - after.facts.logical_bytes; }
};

/// The sizes of tensors are the caller's to know.
using TensorBytes = std::function<Result<uint64_t>(const TensorInfo&)>;

/// Takes the tensors whose names match one of the globs out of the tags: up to 1,024 tags in one
/// step, all of them or none. Tags in which none matches stay what they are and are not in the
/// result. With `dry_run` nothing is written; the entries have no new references then.
/// Errors: before anything is changed kUsage when nothing would be left of a tag, kProtected for a
/// pinned one; kBusy when one was changed meanwhile; kCorrupt; kCancelled when `wait.stop` was set,
/// which is looked at between tags. The message says how many were thinned before and stay so.
Result<std::vector<ThinnedTag>> thin_tags(const Store& store, const std::vector<TagEntry>& tags,
                                          const std::vector<std::string>& globs,
                                          const TensorBytes& tensor_bytes, bool dry_run,
                                          const Wait& wait);

}  // namespace cairn
