// Reading stored copies: ranges of data packs, decoded and checked against their digests.
#pragma once

#include <atomic>

#include "base/buffer.h"
#include "store/file_pool.h"
#include "store/locator.h"
#include "store/read_jobs.h"
#include "store/store.h"

namespace cairn {

/// Threads: any.
class PackReader {
 public:
  explicit PackReader(const Store& store) : buffered_(store.fs(), store.path(), OpenMode::kRead) {}

  /// The range's bytes, in `room`, which grows as needed.
  /// Errors: kCorrupt when the pack is missing or ends too early.
  Result<ByteSpan> read(const PackRange& range, AlignedBuffer& room);

  uint64_t read_bytes() const { return read_bytes_; }

 private:
  FilePool buffered_;
  std::atomic<uint64_t> read_bytes_{0};
};

/// The decoded bytes of a copy, checked: `stored` itself where it is raw, else in `room`, which
/// grows as needed. Errors: kCorrupt naming pack and offset; kNewerFormat.
Result<ByteSpan> decode_checked(const Copy& copy, const Digest& digest, ByteSpan stored,
                                AlignedBuffer& room);

}  // namespace cairn
