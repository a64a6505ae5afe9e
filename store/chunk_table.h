// Where the chunks of a save are stored, by digest, while it runs.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "base/digest.h"

namespace cairn {

/// One stored copy of a chunk; packs go by numbers that whoever keeps the record gives them.
struct ChunkRecord {
  Digest digest;
  uint64_t offset = 0;
  uint32_t pack = 0;
  uint32_t stored_bytes = 0;
  uint32_t decoded_bytes = 0;
  Encoding encoding = Encoding::kRaw;

  auto operator<=>(const ChunkRecord&) const = default;
};

/// Open addressing: 56 bytes a record and at most 11 for its slot. Records stay where they are.
/// Threads: one at a time.
class ChunkTable {
 public:
  /// `records`: how many will come, about.
  explicit ChunkTable(size_t records = 0);
  /// The record of that digest, and whether it is the given one: the first stays.
  std::pair<ChunkRecord*, bool> insert(const ChunkRecord& record);
  /// nullptr when there is none.
  const ChunkRecord* find(const Digest& digest) const;
  size_t size() const { return records_.size(); }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;

  size_t slot_of(const Digest& digest) const;
  void grow();

  std::deque<ChunkRecord> records_;
  std::vector<uint32_t> slots_;
};

}  // namespace cairn
