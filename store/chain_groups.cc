#include "store/chain_groups.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace cairn {
namespace {

/// Disjoint sets of numbers; the smallest of a set stands for it.
class Sets {
 public:
  explicit Sets(size_t count) : parents_(count) { std::iota(parents_.begin(), parents_.end(), 0u); }

  uint32_t find(uint32_t number) {
    while (parents_[number] != number) number = parents_[number] = parents_[parents_[number]];
    return number;
  }
  void join(uint32_t a, uint32_t b) {
    a = find(a), b = find(b);
    parents_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<uint32_t> parents_;
};

uint64_t key(const CopyRef& ref) { return uint64_t{ref.page} << 32 | ref.slot; }

/// Walks from copies to what they are made from.
class Walk {
 public:
  Walk(Checkpoint& checkpoint, size_t count) : checkpoint_(checkpoint), sets_(count) {}

  /// Whether the copy has bases.
  Result<bool> add(uint32_t number, const CopyRef& start) {
    std::vector<CopyRef> left;
    CAIRN_CHECK(push_bases(start, left));
    if (left.empty()) return false;
    meet(number, start);
    while (!left.empty()) {
      const CopyRef ref = left.back();
      left.pop_back();
      if (meet(number, ref)) CAIRN_CHECK(push_bases(ref, left));
    }
    return true;
  }
  /// For a copy without bases: whether another is made from it.
  bool join(uint32_t number, const CopyRef& ref) {
    const auto found = met_.find(key(ref));
    if (found == met_.end()) return false;
    sets_.join(number, found->second);
    return true;
  }
  uint32_t group_of(uint32_t number) { return sets_.find(number); }

 private:
  /// True for the first to meet it.
  bool meet(uint32_t number, const CopyRef& ref) {
    const auto [at, fresh] = met_.try_emplace(key(ref), number);
    if (!fresh) sets_.join(number, at->second);
    return fresh;
  }
  Status push_bases(const CopyRef& ref, std::vector<CopyRef>& left) {
    CAIRN_TRY(const auto page, checkpoint_.page(ref.page));
    CAIRN_CHECK(check_slot(ref, page->locator));
    for (const BaseRef& base : page->locator.copies[ref.slot].bases) {
      CAIRN_TRY(left.emplace_back(), checkpoint_.page_numbers().resolve(base));
    }
    return {};
  }

  Checkpoint& checkpoint_;
  Sets sets_;
  std::unordered_map<uint64_t, uint32_t> met_;
};

}  // namespace

Result<std::vector<std::vector<uint32_t>>> group_chains(Checkpoint& checkpoint,
                                                        std::span<const CopyRef> refs) {
  Walk walk(checkpoint, refs.size());
  std::vector<uint32_t> alone, chained;
  for (uint32_t number = 0; number < refs.size(); ++number) {
    CAIRN_TRY(const bool has_bases, walk.add(number, refs[number]));
    (has_bases ? chained : alone).push_back(number);
  }
  for (const uint32_t number : alone) {
    if (walk.join(number, refs[number])) chained.push_back(number);
  }
  std::sort(chained.begin(), chained.end());
  std::vector<std::vector<uint32_t>> groups;
  std::unordered_map<uint32_t, size_t> places;
  for (const uint32_t number : chained) {
    const auto [at, fresh] = places.try_emplace(walk.group_of(number), groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].push_back(number);
  }
  return groups;
}

}  // namespace cairn
