// Which metadata objects tags need, metadata pack by metadata pack.
#pragma once

#include <map>

#include "store/locator_table.h"
#include "store/root_format.h"

namespace cairn {

/// Threads: one.
class NeededObjects {
 public:
  void add(const Reference& reference) {
    metas_[reference.file][reference.offset] = reference.bytes;
  }
  void add_pages(const LocatorTable& table);
  /// What the entry itself names, and the copy of it that salvage needs, beside its table.
  void add_entry(const TagEntry& tag);

  /// The size that the file would have if it held nothing else; 0 when nothing in it is needed.
  uint64_t needed_bytes(const FileId& meta) const;

 private:
  std::map<FileId, std::map<uint64_t, uint64_t>> metas_;  // lengths by offset
  std::map<Reference, uint64_t> entries_;                 // lengths of copies of entries, by table
};

}  // namespace cairn
