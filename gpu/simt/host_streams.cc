// Streams and events of the host that is the device.
#include "gpu/stream.h"

#include <cstdlib>

#include <fmt/format.h>

#include "gpu/pinned_memory.h"

namespace cairn::gpu {

Result<OwnStream> OwnStream::make() {
  OwnStream stream;
  stream.handle_ = std::malloc(1);
  return stream;
}
OwnStream::~OwnStream() { std::free(handle_); }

Result<Event> Event::make() {
  Event event;
  event.handle_ = std::malloc(1);
  return event;
}
Event::~Event() { std::free(handle_); }
Status Event::record(Stream) { return {}; }
Status Event::wait() const { return {}; }
Result<bool> Event::is_done() const { return true; }
Status wait_for(Stream, const Event&) { return {}; }

Result<PinnedMemory> PinnedMemory::allocate(uint64_t bytes) {
  PinnedMemory memory;
  if (bytes == 0) return memory;
  if (bytes <= SIZE_MAX / 2) memory.allocated_ = std::aligned_alloc(4096, round_up(bytes, 4096));
  if (memory.allocated_ == nullptr) {
    return fail(Code::kNoSpace, fmt::format("allocating {} bytes of pinned memory", bytes));
  }
  memory.data_ = static_cast<uint8_t*>(memory.allocated_);
  memory.size_ = bytes;
  return memory;
}
PinnedMemory::~PinnedMemory() { std::free(allocated_); }

}  // namespace cairn::gpu
