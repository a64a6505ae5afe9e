#include "store/gc/rebase_choice.h"

#include <unordered_set>

#include "store/pack_format.h"

namespace cairn {

void RebaseChoice::add(RebaseChain chain, uint64_t writes, const std::vector<Copy>& needed) {
  const auto number = static_cast<uint32_t>(candidates_.size());
  Candidate& candidate = candidates_.emplace_back();
  candidate.chain = std::move(chain);
  candidate.writes = writes;
  for (const Copy& copy : needed) {
    // One of zeros lies where the next one does, and takes nothing.
    if (copy.stored_bytes == 0) continue;
    Needed& found = copies_[{copy.pack, copy.offset}];
    if (!found.users.empty() && found.users.back() == number) continue;
    found.pack = copy.pack;
    found.bytes = copy.stored_bytes;
    found.row_bytes =
        kPackRecordBytes + copy.bases.size() * sizeof(Digest) + copy.parameters.size();
    found.users.push_back(number);
    candidate.needed.push_back(&found);
  }
}

uint64_t RebaseChoice::freed_by(const Candidate& candidate) const {
  uint64_t bytes = 0;
  for (const Needed* needed : candidate.needed) bytes += needed->left == 1 ? needed->worth() : 0;
  return bytes;
}

RebaseChoice::Group RebaseChoice::group_of(uint32_t first, std::vector<bool>& met) const {
  Group group{{first}};
  met[first] = true;
  std::unordered_set<const Needed*> freed;
  for (size_t i = 0; i < group.chains.size(); ++i) {
    const Candidate& candidate = candidates_[group.chains[i]];
    group.writes += candidate.writes;
    for (const Needed* needed : candidate.needed) {
      if (!freed.insert(needed).second) continue;
      group.frees += needed->worth();
      for (const uint32_t user : needed->users) {
        if (met[user] || candidates_[user].is_chosen) continue;
        met[user] = true;
        group.chains.push_back(user);
      }
    }
  }
  return group;
}

void RebaseChoice::take(Candidate& candidate, RebasePlan& plan) {
  candidate.is_chosen = true;
  plan.writes_bytes += candidate.writes;
  plan.copies += candidate.chain.copies.size();
  for (Needed* needed : candidate.needed) {
    if (--needed->left != 0) continue;
    plan.frees_bytes += needed->bytes;
    plan.freed_packs[needed->pack] += needed->bytes + needed->row_bytes;
  }
  plan.chains.push_back(candidate.chain);
}

void RebaseChoice::begin(const std::set<FileId>& stuck) {
  for (Candidate& candidate : candidates_) candidate.is_chosen = false;
  for (auto& [spot, needed] : copies_) {
    needed.left = needed.users.size();
    needed.is_stuck = stuck.contains(needed.pack);
  }
}

RebasePlan RebaseChoice::choose(const std::set<FileId>& stuck) {
  begin(stuck);
  RebasePlan plan;
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (Candidate& candidate : candidates_) {
      if (candidate.is_chosen || freed_by(candidate) <= candidate.writes) continue;
      take(candidate, plan);
      goes_on = true;
    }
  }
  std::vector<bool> met(candidates_.size());
  for (uint32_t first = 0; first < candidates_.size(); ++first) {
    if (met[first] || candidates_[first].is_chosen) continue;
    const Group group = group_of(first, met);
    if (group.frees <= group.writes) continue;
    for (const uint32_t number : group.chains) take(candidates_[number], plan);
  }
  return plan;
}

}  // namespace cairn
