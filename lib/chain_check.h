// Copies that are made from others: does what comes out of the whole chain have its digest?
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "base/clock.h"
#include "lib/copy_check.h"
#include "store/chain_groups.h"
#include "store/chain_reader.h"

namespace cairn {

/// Findings go to the CopyCheck that has looked at the copies one by one. Threads: one; it uses
/// threads of its own.
class ChainCheck {
 public:
  ChainCheck(const Store& store, const CheckRequest& request, CheckReport& report,
             CopyCheck& copies)
      : request_(request), report_(report), copies_(copies), packs_(store) {}

  /// Decodes the tag's copies that are made from others, and all these, unless that was done for
  /// another tag. Of a sample, as many chains as request.read_percent says.
  Status check(Checkpoint& checkpoint);

  uint64_t read_bytes() const { return packs_.read_bytes(); }

 private:
  std::vector<CopyRef> unproven(Checkpoint& checkpoint) const;
  Status check_chain(Checkpoint& checkpoint, std::span<const CopyRef> refs);
  Status check_plan(Checkpoint& checkpoint, const DecodePlan& plan);

  const CheckRequest& request_;
  CheckReport& report_;
  CopyCheck& copies_;
  PackReader packs_;
  const Stopwatch watch_;
  mutable std::mutex mutex_;  // guards proven_ and report_.out_of_time
  std::set<ToldCopy> proven_;
};

/// What is wrong with a copy or with one that it is made from, by the findings of a CopyCheck.
/// Threads: one.
class ChainDamage {
 public:
  ChainDamage(Checkpoint& checkpoint, const CopyCheck& copies)
      : checkpoint_(checkpoint), copies_(copies) {}

  struct Found {
    Copy copy;  ///< the one that is damaged
    const CopyDamage* damage = nullptr;
  };
  /// Unset when nothing is. Errors: those of reading metadata.
  Result<std::optional<Found>> find(const CopyRef& ref);

 private:
  Checkpoint& checkpoint_;
  const CopyCheck& copies_;
  std::map<CopyRef, std::optional<Found>> known_;
};

}  // namespace cairn
