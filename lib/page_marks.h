// What tells whether a chunk is the same in two tags: 8 bytes of its identity. A page is read once
// for as long as tags that follow each other have it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "store/store.h"

namespace cairn {

/// One mark for each entry of a page; equal for equal entries, and by chance once in 2^64.
using PageMarks = std::vector<uint64_t>;

/// Threads: one.
class PageMarkCache {
 public:
  explicit PageMarkCache(const Store& store) : store_(store) {}

  /// Errors: kCorrupt, kNotFound.
  Result<std::shared_ptr<const PageMarks>> marks(const Reference& page);
  /// Forgets all pages but those of this list.
  void keep_only(const std::vector<Digest>& pages);
  /// Pages read so far.
  uint64_t pages_read() const { return pages_read_; }

 private:
  const Store& store_;
  std::unordered_map<Digest, std::shared_ptr<const PageMarks>> kept_;
  uint64_t pages_read_ = 0;
};

}  // namespace cairn
