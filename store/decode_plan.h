// What must be decoded, and in which order, for some copies of a checkpoint: a copy may be made
// from others, and these from others again.
#pragma once

#include <span>
#include <vector>

#include "store/bases.h"
#include "store/checkpoint.h"

namespace cairn {

/// A chain of bases that is longer was not made by a saver.
inline constexpr size_t kChainLengthMax = 4096;
/// A saver builds upon no copies that are made from more than this: what it adds, to several
/// tensors of a parameter that are made from each other, must be readable too.
inline constexpr size_t kSavedChainCopiesMax = kChainLengthMax / 2;

struct PlannedCopy {
  CopyRef ref;
  Copy copy;
  Digest digest;
  std::vector<uint32_t> bases;  ///< numbers in the plan: smaller ones
};

/// Every copy once, after all that it is made from.
struct DecodePlan {
  std::vector<PlannedCopy> copies;
  std::vector<uint32_t> wanted;  ///< per copy asked for, its number in `copies`
};

/// Errors: kCorrupt for a base that does not exist, a circle, a chain longer than kChainLengthMax.
Result<DecodePlan> plan_decoding(Checkpoint& checkpoint, std::span<const CopyRef> wanted);

}  // namespace cairn
