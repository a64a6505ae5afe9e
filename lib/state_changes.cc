#include "lib/state_changes.h"

#include <algorithm>
#include <set>
#include <string>

namespace cairn {
namespace {

bool is_moment(Role role) {
  return role == Role::kExpAvg || role == Role::kExpAvgSq || role == Role::kMaxExpAvgSq;
}

class Comparison {
 public:
  Comparison(BaseTag& base, const SavePlan& plan, const SavedPages& saved,
             std::span<const Digest> pages, const OptimizerFacts& optimizer)
      : base_(base), plan_(plan), saved_(saved), pages_(pages), parameters_(optimizer) {
    for (const PlannedTensor& tensor : plan.tensors) {
      if (is_moment(tensor.first->role)) stepped_.insert(tensor.first->parameter);
    }
  }

  StateChanges run() {
    for (size_t page = 0; page < plan_.pages.pages.size(); ++page) {
      for (const PageRun& run : plan_.pages.pages[page]) {
        if (run.item < plan_.tensors.size()) look_at(page, run);
      }
    }
    return changes_;
  }

 private:
  Change& kind_of(const TensorSource& tensor) {
    if (is_moment(tensor.role)) return changes_.moments;
    if (tensor.role == Role::kMaster) return changes_.masters;
    return tensor.role == Role::kWeight ? changes_.weights : changes_.others;
  }

  bool is_stepped(const TensorSource& tensor) const {
    return tensor.role == Role::kWeight && stepped_.contains(tensor.parameter) &&
           parameters_.of(tensor.parameter).lr != 0.0;
  }

  void look_at(size_t page, const PageRun& run) {
    const TensorSource& tensor = *plan_.tensors[run.item].first;
    Change& kind = kind_of(tensor);
    const bool counts_twice = changes_.stepped != Change::kSome && is_stepped(tensor);
    if (kind == Change::kSome && !counts_twice) return;
    const Change found = compare(page, run);
    kind = std::max(kind, found);
    if (counts_twice) changes_.stepped = std::max(changes_.stepped, found);
  }

  Change compare(size_t page, const PageRun& run) {
    const auto first = base_.place_of(run.item, run.first_chunk);
    if (!first) return Change::kNone;
    Checkpoint& before = base_.checkpoint();
    const bool is_same_page = before.table().place(first->page).page.digest == pages_[page] &&
                              first->entry == run.first_entry;
    if (is_same_page) return Change::kNothing;
    for (uint64_t i = 0; i < run.chunk_count; ++i) {
      const auto place = base_.place_of(run.item, run.first_chunk + i);
      const auto other = before.page(place->page);
      if (!other) return Change::kUnknown;
      const auto entry = static_cast<uint32_t>(run.first_entry + i);
      if ((*other)->page.entries[place->entry] != saved_.entry({page, entry, 0})) {
        return Change::kSome;
      }
    }
    return Change::kNothing;
  }

  BaseTag& base_;
  const SavePlan& plan_;
  const SavedPages& saved_;
  const std::span<const Digest> pages_;
  const ParameterFacts parameters_;
  std::set<std::string_view> stepped_;  // parameters
  StateChanges changes_;
};

}  // namespace

StateChanges changes_since(BaseTag& base, const SavePlan& plan, const SavedPages& saved,
                           std::span<const Digest> pages, const OptimizerFacts& optimizer) {
  return Comparison(base, plan, saved, pages, optimizer).run();
}

}  // namespace cairn
