// Stores the new chunks of one save, each distinct one once, however many threads meet it.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <vector>

#include "store/chunk_table.h"
#include "store/pack_writer.h"

namespace cairn {

/// Threads: any.
class ChunkWriter {
 public:
  ChunkWriter(PackWriter& packs, const SessionId& session) : packs_(packs), session_(session) {}

  /// Stores `decoded` unless this save has stored it, or is storing it, already.
  /// zstd_level 0: tries zstd where a sample shrinks to half. Only chunks of tensors are counted as
  /// new.
  Status write(const Digest& digest, ByteSpan decoded, int zstd_level, bool of_tensor);

  /// Counts a new tensor chunk that needs no copy because it lies in its page.
  void count_inline(size_t bytes);

  /// Takes a copy that lies elsewhere in the store for the chunk.
  void reuse(const Digest& digest, const Copy& copy);

  /// The copy of a chunk that was written or reused. REQUIRES: every write() has returned success.
  Copy find(const Digest& digest) const;

  uint64_t new_chunks() const { return new_chunks_; }
  uint64_t new_bytes() const { return new_bytes_; }
  /// Packs of other sessions that reuse() brought in, in increasing order.
  std::vector<FileId> reused_packs() const;

 private:
  /// Marks a number of foreign_; others are this session's counters.
  static constexpr uint32_t kForeign = 1u << 31;

  ChunkRecord* claim(const Digest& digest);
  void settle(ChunkRecord& record, const Copy& copy, bool of_tensor);
  Result<Copy> append(const Digest& digest, ByteSpan decoded, int zstd_level);

  PackWriter& packs_;
  const SessionId session_;
  mutable std::mutex mutex_;
  ChunkTable records_;
  std::vector<FileId> foreign_;
  uint64_t new_chunks_ = 0;
  uint64_t new_bytes_ = 0;
};

}  // namespace cairn
