#include "store/chunk_table.h"

#include <bit>

namespace cairn {

ChunkTable::ChunkTable(size_t records)
    : slots_(std::bit_ceil(records + records / 2 + 16), kEmpty) {}

/// Where the digest's record is, or would be.
size_t ChunkTable::slot_of(const Digest& digest) const {
  const size_t mask = slots_.size() - 1;
  size_t at = std::hash<Digest>()(digest) & mask;
  while (slots_[at] != kEmpty && records_[slots_[at]].digest != digest) at = (at + 1) & mask;
  return at;
}

void ChunkTable::grow() {
  slots_.assign(slots_.size() * 2, kEmpty);
  for (size_t i = 0; i < records_.size(); ++i) {
    slots_[slot_of(records_[i].digest)] = static_cast<uint32_t>(i);
  }
}

std::pair<ChunkRecord*, bool> ChunkTable::insert(const ChunkRecord& record) {
  // The number of records that the table was made for may have been wrong.
  if (records_.size() * 4 >= slots_.size() * 3) grow();
  uint32_t& slot = slots_[slot_of(record.digest)];
  const bool fresh = slot == kEmpty;
  if (fresh) {
    slot = static_cast<uint32_t>(records_.size());
    records_.push_back(record);
  }
  return {&records_[slot], fresh};
}

const ChunkRecord* ChunkTable::find(const Digest& digest) const {
  const uint32_t slot = slots_[slot_of(digest)];
  return slot == kEmpty ? nullptr : &records_[slot];
}

}  // namespace cairn
