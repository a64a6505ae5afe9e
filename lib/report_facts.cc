#include "lib/report_facts.h"

namespace cairn {

uint64_t reclaimable_bytes(const StoreUsage& usage) { return usage.dead_bytes; }

Result<ReportFacts> gather_report(const Store& store, StoreUsage usage, std::vector<TagEntry> tags,
                                  const std::atomic<bool>* stop) {
  ReportFacts facts;
  facts.reclaimable_bytes = reclaimable_bytes(usage);
  facts.usage = std::move(usage);
  facts.tags = arrange_tags(std::move(tags), kReportColumnsMax);
  CAIRN_TRY(facts.changes, map_changes(store, facts.tags, kReportRowsMax, stop));
  return facts;
}

}  // namespace cairn
