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
  enum class Trust : uint8_t {
    kNearby,
    kNothing,  ///< copies of the store's bytes that are kept nearby (File::distrust) are given up
  };

  explicit PackReader(const Store& store, Trust trust = Trust::kNearby)
      : trust_(trust),
        habits_(store.fs().read_habits()),
        chunk_bytes_max_(chunk_bytes_max(store.config())),
        cached_(store.fs(), store.path(), OpenMode::kRead),
        direct_(store.fs(), store.path(), OpenMode::kReadDirect) {}

  /// The range's bytes, in `room`, which grows as needed.
  /// Errors: kCorrupt when the pack is missing or ends too early.
  Result<ByteSpan> read(const PackRange& range, AlignedBuffer& room);

  /// Fills `out` with the bytes from `offset` if all of them are in the page cache.
  bool read_cached(const FileId& pack, uint64_t offset, MutableBytes out);

  /// The decoded bytes of a copy, checked: `stored` itself where it is raw, else in `room`, which
  /// grows as needed, to no more than a chunk of the store may have. REQUIRES: the copy has no
  /// bases (else: store/chain_reader.h). Errors: kCorrupt naming pack and offset; kNewerFormat.
  Result<ByteSpan> decode_checked(const Copy& copy, const Digest& digest, ByteSpan stored,
                                  AlignedBuffer& room) const;
  /// The same into memory of just that size, which holds anything after an error.
  Status decode_into(const Copy& copy, const Digest& digest, ByteSpan stored,
                     MutableBytes out) const;
  /// The same for who checks the digest. Errors: kCorrupt for what does not decode.
  Status decode_unchecked(const Copy& copy, ByteSpan stored, MutableBytes out) const;
  /// The same, but leaves planes (base/encodings/encode.h) to who joins them.
  /// REQUIRES: plane_item_bytes(copy) is not 0.
  Status decode_to_planes(const Copy& copy, ByteSpan stored, MutableBytes out) const;
  /// Whether the stored bytes are the copy's: by its digest, unless bases are needed to decode it,
  /// and by its seal. Errors: as decode_checked.
  Status check_alone(const Copy& copy, bool has_bases, const Digest& digest, ByteSpan stored,
                     AlignedBuffer& room) const;
  /// Errors: kCorrupt when it claims to decode to more than any chunk of the store may have.
  Status check_size(const Copy& copy) const;

  const ReadHabits& habits() const { return habits_; }
  uint64_t read_bytes() const { return read_bytes_; }

 private:
  Result<std::shared_ptr<File>> open(FilePool& files, const FileId& pack);
  Status check_end(const FileId& pack, uint64_t end);

  const Trust trust_;
  const ReadHabits habits_;
  const uint64_t chunk_bytes_max_;
  FilePool cached_, direct_;
  std::atomic<uint64_t> read_bytes_{0};
};

/// How large the items are whose planes the copy holds; 0: it holds none, or they are the items.
unsigned plane_item_bytes(const Copy& copy);

/// "pack '...', offset ...: why".
Error about_copy(const Copy& copy, Error error);
/// The error of decoded bytes that are not the digest's.
Error other_digest(const Copy& copy);

}  // namespace cairn
