// All that a report shows, gathered before anything is drawn.
#pragma once

#include <atomic>
#include <vector>

#include "lib/change_map.h"
#include "lib/tag_columns.h"
#include "store/usage.h"

namespace cairn {

/// What a page has room for.
inline constexpr size_t kReportColumnsMax = 100;
inline constexpr size_t kReportRowsMax = 200;

struct ReportFacts {
  StoreUsage usage;                ///< of the whole store
  uint64_t reclaimable_bytes = 0;  ///< of it, what gc would free
  TagColumns tags;                 ///< those that were asked for
  ChangeMap changes;               ///< of those
};

/// What gc would free, as far as the counts of `stats` tell: the copies that no tag needs.
uint64_t reclaimable_bytes(const StoreUsage& usage);

/// `usage` is that of the store; `tags` may be fewer. Errors: kCorrupt, kCancelled.
Result<ReportFacts> gather_report(const Store& store, StoreUsage usage, std::vector<TagEntry> tags,
                                  const std::atomic<bool>* stop);

}  // namespace cairn
