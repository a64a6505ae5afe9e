// The way between devices and the host that needs no memory of a device: plain copies, run by run.
#pragma once

#include <vector>

#include "lib/device/content.h"
#include "lib/device/lane.h"
#include "lib/strided.h"

namespace cairn {

/// Enqueues copies of a box between the host's and a device's memory. REQUIRES: the stream's device
/// is the current one. Errors: kFailed.
Status carry_box(gpu::Stream stream, const StridedSource& from, const StridedTarget& to,
                 const std::vector<uint64_t>& lengths, uint64_t item_bytes, bool is_down);

/// Brings a content to the host from all memories that have some of it, and waits.
/// Errors: kFailed.
Status carry(const Lanes& lanes, const Content& content, MutableBytes to);

}  // namespace cairn
