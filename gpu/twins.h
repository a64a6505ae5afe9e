// Units of the same content, which is written once where one rank writes several of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/digest.h"

namespace cairn::gpu {

/// A unit of replicated state: what is digested, encoded and written as one.
struct ExchangeUnit {
  uint64_t bytes = 0;
  /// Units of one cluster (weight, master and moments of a chunk) are encoded together, by one
  /// rank. Below the number of units.
  uint32_t cluster = 0;
};

struct Twins {
  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<uint32_t> numbers;  ///< of each unit: the content's, kNone where no other has it
  uint32_t count = 0;             ///< of contents that several units have
};

/// Of equal digests and equal bytes. REQUIRES: as many digests as units, at most 2^31.
Twins find_twins(std::span<const ExchangeUnit> units, std::span<const Digest> digests);

}  // namespace cairn::gpu
