// Which chains are worth storing by themselves. Several may need the same copy, which is free only
// when the last of them needs it no more.
#pragma once

#include <set>
#include <unordered_map>
#include <vector>

#include "store/copy_counter.h"
#include "store/gc/rebase.h"

namespace cairn {

/// Threads: one.
class RebaseChoice {
 public:
  /// `needed`: copies that are needed for the chain's sake, its own ones too.
  void add(RebaseChain chain, uint64_t writes, const std::vector<Copy>& needed);

  bool is_empty() const { return candidates_.empty(); }

  /// Makes a plan of the chains that are worth it: first each that is so by itself, with what it is
  /// the last to need; then those that are it together. What lies in packs that are `stuck` comes
  /// back to nobody.
  RebasePlan choose(const std::set<FileId>& stuck = {});

 private:
  struct Needed {
    FileId pack;
    uint64_t bytes = 0;
    uint64_t row_bytes = 0;       // in the pack's table
    bool is_stuck = false;        // free for nothing
    std::vector<uint32_t> users;  // chains
    size_t left = 0;              // of the users, those that are not chosen

    uint64_t worth() const { return is_stuck ? 0 : bytes; }
  };
  struct Candidate {
    RebaseChain chain;
    uint64_t writes = 0;
    std::vector<Needed*> needed;
    bool is_chosen = false;
  };

  /// Chains that are not chosen and need what the first needs, or what these need, and so on.
  struct Group {
    std::vector<uint32_t> chains;
    uint64_t frees = 0, writes = 0;
  };

  uint64_t freed_by(const Candidate& candidate) const;
  Group group_of(uint32_t first, std::vector<bool>& met) const;
  void begin(const std::set<FileId>& stuck);
  void take(Candidate& candidate, RebasePlan& plan);

  std::vector<Candidate> candidates_;
  std::unordered_map<CopySpot, Needed, CopySpotHash> copies_;
};

}  // namespace cairn
