#pragma once

#include "tests/bench/gpu/operation.h"

namespace cairn::gpu {

struct Spread {
  double median = 0, least = 0, most = 0;
};

/// REQUIRES: a value at least.
Spread spread_of(std::vector<double> values);

/// Of one row.
struct Figures {
  Spread gb_per_s;
  Spread copy_gb_per_s;  ///< read and written, of copies that took turns with it
  Spread times_copy;     ///< the first over the second, within a round
};

/// Checks the operation on each buffer, then times it and a copy of a buffer on the device in turn,
/// `rounds` times, and checks it once more. Errors: kFailed; kNoSpace.
Result<Figures> measure(Operation& operation, const BenchData& data, unsigned rounds);

}  // namespace cairn::gpu
