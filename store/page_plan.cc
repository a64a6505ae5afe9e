#include "store/page_plan.h"

#include <algorithm>

#include "base/digest.h"

namespace cairn {

/// One page in 32 tensors, chosen by name: about as many tensors as make a page worth its overhead.
static bool ends_page(std::string_view name) { return blake3(as_bytes(name)).bytes[0] % 32 == 0; }

namespace {

class Planner {
 public:
  void add(std::string_view name, uint64_t chunk_count) {
    const size_t item = plan_.first_places.size();
    if (entries_ > 0 && entries_ + chunk_count > kPageEntriesMax) close();
    plan_.first_places.push_back({plan_.pages.size(), entries_});
    for (uint64_t chunk = 0; chunk < chunk_count;) {
      if (entries_ == kPageEntriesMax) close();
      const uint64_t run = std::min<uint64_t>(kPageEntriesMax - entries_, chunk_count - chunk);
      page_.push_back({item, chunk, run, entries_});
      entries_ += static_cast<uint32_t>(run);
      chunk += run;
    }
    if (entries_ > 0 && ends_page(name)) close();
  }

  void close() {
    if (entries_ == 0) return;
    plan_.pages.push_back(std::move(page_));
    page_.clear();
    entries_ = 0;
  }

  PagePlan take() {
    close();
    return std::move(plan_);
  }

 private:
  PagePlan plan_;
  std::vector<PageRun> page_;
  uint32_t entries_ = 0;
};

}  // namespace

PagePlan::Place PagePlan::place(size_t item, uint64_t chunk) const {
  // An item starts a page of its own unless it fits, so every page but its last is full.
  const Place first = first_places[item];
  const uint64_t entry = first.entry + chunk;
  return {first.page + entry / kPageEntriesMax, static_cast<uint32_t>(entry % kPageEntriesMax)};
}

PagePlan plan_pages(const Schema& schema, const std::vector<AttachmentInfo>& attachments) {
  Planner planner;
  for (const TensorInfo& tensor : schema.tensors) planner.add(tensor.name, tensor.chunk_count);
  planner.close();
  for (const AttachmentInfo& attachment : attachments) {
    planner.add(attachment.name, attachment.edges.count());
  }
  return planner.take();
}

}  // namespace cairn
