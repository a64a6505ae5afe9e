// Where chunks are stored, in memory and in few bytes: for look-ups by the million. RocksDB finds
// a few hundred thousand digests a second, a table of this kind millions.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "store/chunk_table.h"

namespace cairn {

/// Keeps 10 bytes of each digest, of which two are the number of its list, so that a record takes
/// 26 bytes. Two chunks of a store are one to the table by chance once in 10^10 stores of 10^7
/// chunks; whoever reuses a copy asks its pack's own table, which has the whole digest
/// (PackTables). Threads: one to fill it; any afterwards.
class FlatTable {
 public:
  /// `records`: how many will come at most.
  explicit FlatTable(size_t records);

  /// Takes the next of the 65536 lists: all records whose digests begin with the list's number,
  /// as two big-endian bytes; others are passed over. Of equal digests the first counts.
  /// REQUIRES: numbers increase from call to call.
  void add(uint16_t list, const std::vector<ChunkRecord>& records);

  /// The record, with the digest that was asked for; nullopt when there is none.
  std::optional<ChunkRecord> find(const Digest& digest) const;

  size_t size() const { return bytes_.size() / kRecordBytes; }
  /// Of memory taken.
  size_t memory_bytes() const { return bytes_.capacity() + ends_.size() * sizeof(uint32_t); }

 private:
  static constexpr size_t kRecordBytes = 26;

  Bytes bytes_;
  std::vector<uint32_t> ends_;  // by list, as far as they were added: records up to its last
};

}  // namespace cairn
