// Digests of units before they are stored, for ranks that compare what they hold.
#pragma once

#include <span>
#include <vector>

#include "lib/save_plan.h"
#include "lib/staging.h"

namespace cairn {

/// In the order of the units: by the host's SIMD, and by the devices that tensors are on.
/// `staged`: null where nothing is on a device. Errors: kCancelled; the device's.
Result<std::vector<Digest>> digest_units(const SavePlan& plan, std::span<const Unit* const> units,
                                         StagedSave* staged, const CallOptions& call);

}  // namespace cairn
