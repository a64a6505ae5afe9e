#include "store/pack_tables.h"

#include <algorithm>

#include "store/pack_table.h"

namespace cairn {

std::vector<PackTables::Row> PackTables::read_rows(const FileId& pack) const {
  std::vector<Row> rows;
  const auto copies = list_copies(store_.fs(), store_.path(), pack);
  if (!copies) return rows;
  rows.reserve(copies->size());
  for (const PackedCopy& copy : *copies) {
    rows.push_back(
        {copy.offset, copy.stored_bytes, copy.decoded_bytes, copy.encoding, copy.digest});
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

bool PackTables::holds(const Copy& copy, const Digest& digest) {
  const Row wanted{copy.offset, copy.stored_bytes, copy.decoded_bytes, copy.encoding, digest};
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = packs_.try_emplace(copy.pack);
  if (fresh) at->second = read_rows(copy.pack);
  return std::binary_search(at->second.begin(), at->second.end(), wanted);
}

}  // namespace cairn
