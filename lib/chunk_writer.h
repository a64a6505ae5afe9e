// Stores the new chunks of one save, each distinct one once, however many threads meet it.
#pragma once

#include <mutex>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/encodings/encode.h"
#include "base/progress_counters.h"
#include "store/chunk_table.h"
#include "store/pack_writer.h"

namespace cairn {

/// A place in the tag that is being saved: an entry of a page, and which of its copies.
struct OwnPlace {
  size_t page = 0;
  uint32_t entry = 0;
  uint32_t unit = 0;
};

/// What a copy is made from: a copy of the base tag, or one of this save, whose page is not known
/// by its digest before all its chunks are.
using CopyBase = std::variant<BaseRef, OwnPlace>;

/// Where a chunk is stored. `copy.bases` is empty: `bases` says them.
struct ChunkCopy {
  Copy copy;
  std::vector<CopyBase> bases;

  /// A copy of the base tag, as its locator has it.
  static ChunkCopy of_base(Copy copy) {
    ChunkCopy kept{std::move(copy), {}};
    kept.bases.assign(kept.copy.bases.begin(), kept.copy.bases.end());
    kept.copy.bases.clear();
    return kept;
  }
};

/// A chunk in an encoding, with what it is decoded with.
struct EncodedChunk {
  Encoded encoded;
  std::vector<CopyBase> bases;
  std::vector<Digest> base_digests;
};

/// Threads: any.
class ChunkWriter {
 public:
  /// `progress`: told what proves to be new; may be null.
  ChunkWriter(PackWriter& packs, const SessionId& session, ProgressCounters* progress)
      : packs_(packs), session_(session), progress_(progress) {}

  /// Whether the caller is the one to store the chunk: nobody has, or is about to. `for_any`: a
  /// copy made from others of this save will do, since no chunk of this save is made from the
  /// caller's.
  bool claim(const Digest& digest, bool for_any);

  /// Stores a chunk that was claimed. Only chunks of tensors are counted as new.
  Status write_raw(const Digest& digest, ByteSpan decoded, bool of_tensor);
  Status write(const Digest& digest, size_t decoded_bytes, EncodedChunk chunk, bool of_tensor);
  /// Stores a copy that is made from others of this save. It stands for its own place; chunks that
  /// nothing is made from may use it too.
  Result<ChunkCopy> write_own(const Digest& digest, size_t decoded_bytes, EncodedChunk chunk);

  /// Counts a new tensor chunk that needs no copy because it lies in its page.
  void count_inline(size_t bytes);

  /// Takes a copy that lies elsewhere in the store for the chunk.
  void reuse(const Digest& digest, const Copy& copy);

  /// The copy of a chunk that was written or reused. REQUIRES: all writes have returned success.
  ChunkCopy find(const Digest& digest) const;

  /// Whether chunks wait for the disk rather than the disk for chunks.
  bool is_disk_behind() const { return packs_.backlog_bytes() >= kBacklogBytes; }

  uint64_t new_chunks() const { return new_chunks_; }
  uint64_t new_bytes() const { return new_bytes_; }
  /// Packs of other sessions that reuse() brought in, in increasing order.
  std::vector<FileId> reused_packs() const;

 private:
  /// What the disk takes longer to write than a thread to encode a chunk.
  static constexpr uint64_t kBacklogBytes = 2 * AppendWriter::kBufferBytes;
  /// Marks a number of foreign_; others are this session's counters.
  static constexpr uint32_t kForeign = 1u << 31;

  struct DigestHash {
    size_t operator()(const Digest& digest) const { return load_le<uint64_t>(digest.bytes, 0); }
  };
  /// What a record has no room for.
  struct Sealed {
    ChunkCopy chunk;
    bool is_own = false;  ///< made from others of this save
  };

  Result<Copy> append(const Digest& digest, size_t decoded_bytes, EncodedChunk& chunk);
  void settle(const Digest& digest, const Copy& copy, bool of_tensor);
  void count_new(size_t bytes, bool of_tensor);

  PackWriter& packs_;
  const SessionId session_;
  ProgressCounters* const progress_;
  mutable std::mutex mutex_;
  ChunkTable records_;
  std::unordered_map<Digest, Sealed, DigestHash> sealed_;
  std::vector<FileId> foreign_;
  uint64_t new_chunks_ = 0;
  uint64_t new_bytes_ = 0;
};

}  // namespace cairn
