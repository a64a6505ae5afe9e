// The packs that lie in a store, whoever needs them.
#pragma once

#include <vector>

#include "store/file_id.h"
#include "store/store.h"

namespace cairn {

struct StoredFile {
  FileKind kind = FileKind::kPack;
  FileId file;
  uint64_t bytes = 0;

  std::string path() const { return relative_path(kind, file); }
};

/// Every data pack and metadata pack by its name, whole or not; other names are passed over, and so
/// are folders below `packs` and `meta` that are links. A file that goes while the list is made may
/// be in it or not.
Result<std::vector<StoredFile>> list_files(const Store& store);

/// kProtected when `packs` or `meta` is a link: what it leads to may be another store's as well,
/// and no one may delete there what this store does not need.
Status refuse_linked_folders(const Store& store);

}  // namespace cairn
