// Memory of a device that is dealt out from its beginning, and all of it taken back at once.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "gpu/tile.h"

namespace cairn {

class Arena {
 public:
  Arena() = default;
  explicit Arena(gpu::DeviceSpan memory) : memory_(memory) {}

  /// At a multiple of 256 bytes from the beginning; nullopt when there is no such room.
  std::optional<gpu::DeviceSpan> take(uint64_t bytes) {
    const uint64_t rounded = round_up(bytes, kAlignment);
    if (rounded < bytes || rounded > memory_.bytes - taken_) return std::nullopt;
    const gpu::DeviceSpan taken{memory_.data + taken_, bytes};
    taken_ += rounded;
    return taken;
  }
  void clear() { taken_ = 0; }
  uint64_t bytes() const { return memory_.bytes; }

  static constexpr uint64_t kAlignment = 256;

 private:
  gpu::DeviceSpan memory_;
  uint64_t taken_ = 0;
};

}  // namespace cairn
