#include "store/pack_tables.h"

#include <algorithm>

#include "store/distrust.h"
#include "store/pack_table.h"

namespace cairn {

Status PackTables::reached() const {
  const std::lock_guard lock(mutex_);
  return reached_;
}

void PackTables::note_failure(const Error& error) {
  const bool is_absence = error.code != Code::kUnreachable && error.code != Code::kAuth;
  if (reached_ && !is_absence) reached_ = tl::unexpected(error);
}

std::vector<PackTables::Row> PackTables::read_rows(const FileId& pack) {
  std::vector<Row> rows;
  const auto copies = list_copies(store_.fs(), store_.path(), pack);
  if (!copies) {
    note_failure(copies.error());
    return rows;
  }
  rows.reserve(copies->size());
  for (const PackedCopy& copy : *copies) {
    rows.push_back({copy.offset, copy.stored_bytes, copy.decoded_bytes, copy.encoding, copy.digest,
                    !copy.bases.empty(), copy.parameters});
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// As things are when the first pack is asked for.
bool PackTables::is_trusted(const FileId& pack) {
  if (!distrusted_) {
    auto packs = distrusted_packs(store_);
    trusts_none_ = !packs;
    if (!packs) note_failure(packs.error());
    distrusted_ = packs ? *std::move(packs) : std::set<FileId>();
  }
  return !trusts_none_ && !distrusted_->contains(pack);
}

/// Rows stay where they are once they are read.
const PackTables::Row* PackTables::find(const Copy& copy, const Digest& digest) {
  const Row wanted{copy.offset, copy.stored_bytes, copy.decoded_bytes, copy.encoding, digest, {},
                   {}};
  const std::lock_guard lock(mutex_);
  if (!reached_) return nullptr;
  const auto [at, fresh] = packs_.try_emplace(copy.pack);
  if (fresh && is_trusted(copy.pack)) at->second = read_rows(copy.pack);
  const std::vector<Row>& rows = at->second;
  const auto row = std::lower_bound(rows.begin(), rows.end(), wanted);
  return row == rows.end() || *row <=> wanted != 0 ? nullptr : &*row;
}

bool PackTables::holds(const Copy& copy, const Digest& digest) {
  return find(copy, digest) != nullptr;
}

std::optional<Copy> PackTables::complete(const Copy& copy, const Digest& digest) {
  const Row* row = find(copy, digest);
  if (row == nullptr || row->has_bases) return std::nullopt;
  Copy whole = copy;
  whole.parameters = row->parameters;
  return whole;
}

}  // namespace cairn
