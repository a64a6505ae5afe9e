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

/// Every data pack and metadata pack by its name, whole or not; other names are passed over. A file
/// that goes while the list is made may be in it or not.
Result<std::vector<StoredFile>> list_files(const Store& store);

}  // namespace cairn
