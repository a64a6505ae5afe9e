// Reading stored copies: ranges of data packs, decoded and checked against their digests.
#pragma once

#include <atomic>

#include "base/buffer.h"
#include "store/file_pool.h"
#include "store/locator.h"
#include "store/read_jobs.h"
#include "store/store.h"

namespace cairn {

/// Probes: what the page cache holds is taken from there, all else is read past it. A load reads
/// each byte once, so filling the cache would cost a copy and push out what others need.
/// Threads: any.
class PackReader {
 public:
  explicit PackReader(const Store& store)
      : cached_(store.fs(), store.path(), OpenMode::kRead),
        direct_(store.fs(), store.path(), OpenMode::kReadDirect) {}

  /// The range's bytes, in `room`, which grows as needed.
  /// Errors: kCorrupt when the pack is missing or ends too early.
  Result<ByteSpan> read(const PackRange& range, AlignedBuffer& room);

  /// Fills `out` with the bytes from `offset` if all of them are in the page cache.
  bool read_cached(const FileId& pack, uint64_t offset, MutableBytes out);

  uint64_t read_bytes() const { return read_bytes_; }

 private:
  Result<std::shared_ptr<File>> open(FilePool& files, const FileId& pack);

  FilePool cached_, direct_;
  std::atomic<uint64_t> read_bytes_{0};
};

/// The decoded bytes of a copy, checked: `stored` itself where it is raw, else in `room`, which
/// grows as needed. REQUIRES: the copy has no bases (else: store/chain_reader.h).
/// Errors: kCorrupt naming pack and offset; kNewerFormat.
Result<ByteSpan> decode_checked(const Copy& copy, const Digest& digest, ByteSpan stored,
                                AlignedBuffer& room);

/// Whether the stored bytes are the copy's: by its digest, or, where bases are needed to decode it,
/// by its seal. Errors: kCorrupt naming pack and offset; kNewerFormat.
Status check_alone(const Copy& copy, bool has_bases, const Digest& digest, ByteSpan stored,
                   AlignedBuffer& room);

/// Why decoding failed: bytes that are damaged may look like those of a newer format.
Error blame(const Copy& copy, ByteSpan stored, Error met);

/// "pack '...', offset ...: why".
Error about_copy(const Copy& copy, Error error);

}  // namespace cairn
