// What packs themselves say they hold. A save takes a copy over from its base or from the index
// only when the copy's own pack confirms it: a lost, cut or foreign pack and an index gone wrong
// then cost bytes, not the tag.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "store/locator.h"
#include "store/store.h"

namespace cairn {

/// Reads each pack's table once, when it is first asked for, and keeps it: 56 bytes a copy.
/// Threads: any.
class PackTables {
 public:
  explicit PackTables(const Store& store) : store_(store) {}

  /// Whether the copy's pack is there with an undamaged table that names this copy of the chunk.
  /// The bytes of the copy are not read.
  bool holds(const Copy& copy, const Digest& digest);

 private:
  struct Row {
    uint64_t offset = 0;
    uint32_t stored_bytes = 0, decoded_bytes = 0;
    Encoding encoding = Encoding::kRaw;
    Digest digest;

    auto operator<=>(const Row&) const = default;
  };

  std::vector<Row> read_rows(const FileId& pack) const;

  const Store& store_;
  std::mutex mutex_;
  std::map<FileId, std::vector<Row>> packs_;  // none for a pack that cannot be read
};

}  // namespace cairn
