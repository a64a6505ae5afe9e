// Packs of which the table is damaged or cut off. Loads do without tables, so nothing is lost with
// one; but no save takes anything over from such a pack, so what tags need of it is written anew.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "store/gc/reclaim.h"
#include "store/pack_format.h"

namespace cairn {

struct LostTables {
  std::set<FileId> metas;
  /// What the tables of data packs said of the copies that tags need, in the order in which they
  /// lie: locators tell where a copy is, pages tell its digest.
  std::map<FileId, std::vector<PackedCopy>> packs;

  bool has(const StoredFile& file) const {
    return file.kind == FileKind::kPack ? packs.contains(file.file) : metas.contains(file.file);
  }
};

/// Reads the tables of all files that the tags need and `protect` does not. Copies that a damaged
/// page or locator would tell are missing from the answer.
Result<LostTables> find_lost_tables(const Store& store, const Survey& survey,
                                    const FileMarks& protect, unsigned threads);

}  // namespace cairn
