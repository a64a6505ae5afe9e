// What the simulated devices are, and what memory they have.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn::gpu::simt {

unsigned devices();
/// Of the calling thread.
unsigned current_device_number();
/// Of the current device: one that CUDA would make now, if there was none.
void make_context();

/// Memory of a device that `bytes` at an address are in. Errors: kFailed, with what was done, where
/// they are partly in some, or in that of another device; memory that was allocated otherwise is
/// not known, and not judged.
Status check_memory(unsigned device, const void* data, uint64_t bytes, std::string_view doing);
/// Whether all of it is pinned.
bool is_pinned(ByteSpan memory);

}  // namespace cairn::gpu::simt
