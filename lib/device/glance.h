// Small tensors of devices come to the host before a save begins, and are the host's from there on:
// what the plan looks at is there then, and pages hold the smallest of them anyway.
#pragma once

#include <vector>

#include "base/buffer.h"
#include "lib/cairn.hpp"
#include "lib/device/device_staging.h"

namespace cairn {

/// Chunks of at most so many bytes make a tensor small.
inline constexpr uint64_t kSmallChunkBytes = 4096;

/// Whether the host is to have it: its chunks are small, or some have room in a page. False for
/// what is no tensor either: the plan tells.
bool is_small(const TensorSource& tensor, uint64_t chunk_elements);

/// Copies small tensors from devices and gives them the copies as data. Returns what these lie in.
Result<std::vector<AlignedBuffer>> glance(DeviceStaging& staging, const Lanes& lanes,
                                          std::vector<TensorSource>& tensors,
                                          uint64_t chunk_elements);

}  // namespace cairn
