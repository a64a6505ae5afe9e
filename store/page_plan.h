// Which page holds which chunk. The rule (docs/FORMAT.md, section 5) looks only at names and chunk
// counts, so a checkpoint's pages can be found before any of them is read, and a tensor that comes
// or goes moves only the pages near it.
#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "store/manifest.h"
#include "store/page.h"
#include "store/schema.h"

namespace cairn {

/// A run of consecutive chunks of one item inside a page.
struct PageRun {
  size_t item = 0;  ///< number of the tensor, or tensor count + number of the attachment
  uint64_t first_chunk = 0;
  uint64_t chunk_count = 0;
  uint32_t first_entry = 0;  ///< where the run begins in its page
};

struct PagePlan {
  std::vector<std::vector<PageRun>> pages;
  /// Per item, the page of its first chunk and the entry there; of no meaning for items without
  /// chunks.
  struct Place {
    size_t page = 0;
    uint32_t entry = 0;
  };
  std::vector<Place> first_places;

  /// Where a chunk's entry lies. REQUIRES: chunk < the item's chunk count.
  Place place(size_t item, uint64_t chunk) const;
};

PagePlan plan_pages(const Schema& schema, const std::vector<AttachmentInfo>& attachments);

}  // namespace cairn
