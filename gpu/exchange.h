// Ranks agree who writes what of the state that several of them hold, by its digests alone: no byte
// of the state travels. Every rank calls this at the same time:
//
//   1. all say how they are and what units they list: one that has failed ends the talk for all
//   2. all say which units they hold (a bit each), and then their digests, in rounds of a bounded
//      size; what differs from what came before is remembered, equal ones are dropped
//   3. each makes the plan, for itself: the same one (gpu/exchange_plan.h)
//   4. all say that they have it, and its digest: nobody begins where another has none
//
// A crash, a time-out or an error anywhere leaves nothing behind: nothing was written yet. Memory:
// 36 bytes a unit, a bit for each unit and rank, kRoundBytes, and what disagrees.
#pragma once

#include <span>

#include "gpu/exchange_plan.h"
#include "gpu/transport.h"

namespace cairn::gpu {

/// What a rank knows of the replicated state.
struct HeldState {
  /// All units of the job, whoever holds them, in an order that all ranks have.
  std::span<const ExchangeUnit> units;
  /// Of what these units are (names, boxes, dtypes), so that ranks whose states differ find out.
  Digest names;
  /// Those that this rank holds, and their digests in order.
  UnitMap held;
  std::span<const Digest> digests;
};

inline constexpr uint64_t kRoundBytes = 16 * kMiB;  ///< of what all ranks tell in one round

/// What each rank holds, of as many units on all ranks. In rounds of a bounded size. Errors: the
/// transport's.
Result<std::vector<UnitMap>> gather_maps(Transport& transport, const UnitMap& mine);

/// `state`: this rank's, or why it has none. Errors: this rank's; that of another, naming it;
/// kUsage naming ranks that list other units, or what of the state is malformed; the transport's.
/// An error comes to all ranks that can be reached. Disagreements of replicas are no error: they
/// are in the plan, and the caller's to judge.
Result<ExchangePlan> agree_on_writers(Transport& transport, const Result<HeldState>& state);

}  // namespace cairn::gpu
