// The locator table of one checkpoint: for every page where its bytes and its locator lie, the
// pages of all bases its copies need, and the data packs a load may open (docs/FORMAT.md, section
// 6).
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "store/file_id.h"

namespace cairn {

struct PagePlace {
  Reference page;  ///< its digest is the page's identity
  Reference locator;

  auto operator<=>(const PagePlace&) const = default;
};

struct PackUse {
  FileId pack;
  uint64_t stored_bytes = 0;  ///< of this checkpoint's copies and their bases
};

struct LocatorTable {
  Digest manifest;
  std::vector<PagePlace> pages;    ///< those of the manifest, in its order
  std::vector<PagePlace> closure;  ///< pages of bases that are not pages of the manifest
  std::vector<PackUse> packs;      ///< in increasing order of file id

  /// Pages are numbered through: those of the manifest, then those of the closure.
  size_t page_count() const { return pages.size() + closure.size(); }
  const PagePlace& place(size_t number) const {
    return number < pages.size() ? pages[number] : closure[number - pages.size()];
  }
};

Bytes encode_locator_table(const LocatorTable& table);
/// `page_digests` are the manifest's: the table does not repeat them.
Result<LocatorTable> decode_locator_table(ByteSpan bytes, const std::vector<Digest>& page_digests);

}  // namespace cairn
