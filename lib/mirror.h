// A copy, in the host's memory, of tensors that a training goes on changing. What lies on devices
// is digested there, and only chunks that the copy does not hold yet cross over (docs/GPU.md,
// "Follow one update of a copy").
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/save_plan.h"

namespace cairn {

struct MirrorRequest {
  std::vector<TensorSource> tensors = {};
  /// Where each tensor's box goes: the host's memory, row-major. No two overlap.
  std::vector<void*> copies = {};
  DeviceChoices devices = {};
  CallOptions call = {};
};

struct MirrorResult {
  uint64_t bytes = 0;                   ///< of the tensors' boxes
  uint64_t brought_bytes = 0;           ///< that came from devices: chunks, digests, small tensors
  std::vector<std::string> notes = {};  ///< such as that a device had no room
  double elapsed_s = 0;
};

/// By chunk; unset: nobody knows what the copy holds there.
using HeldDigests = std::vector<std::optional<Digest>>;

/// What one copy holds. Threads: any; one call at a time uses it, another one waits.
class Mirror {
 public:
  /// Small enough that rows of an embedding do not bring their neighbours: 256 KiB of F32, 120 MB
  /// of digests for each TB.
  static constexpr uint64_t kChunkElements = uint64_t{1} << 16;

  /// `chunk_elements`: a power of two, at least 1024.
  explicit Mirror(uint64_t chunk_elements = kChunkElements) : chunk_elements_(chunk_elements) {}

  /// Makes the copy what the tensors are. Nothing else writes to either meanwhile, nor to the copy
  /// before the next update. Begins behind the caller's streams; when it returns no tensor is read
  /// any more. What is not on a device, and what is small, is copied whole. A first update, and one
  /// of other tensors or of a copy elsewhere, brings all.
  /// Errors: kUsage naming the tensor, also one that changed while it was read; kCancelled; the
  /// device's. The copy may be of before and after then; the next update makes it right.
  Result<MirrorResult> update(const MirrorRequest& request);

 private:
  /// What must be equal for digests to be of the same chunks of the same copy.
  struct Followed {
    std::string name;
    Dtype dtype = Dtype::kU8;
    Shape shape;  // of the grid
    const void* copy = nullptr;
    std::optional<uint32_t> device;
    bool operator==(const Followed&) const = default;
  };

  Result<MirrorResult> update_alone(const MirrorRequest& request);
  void follow(const SavePlan& plan, const std::vector<void*>& copies);

  const uint64_t chunk_elements_;
  std::mutex mutex_;
  std::vector<Followed> followed_;
  std::vector<HeldDigests> held_;  // of each tensor
};

}  // namespace cairn
