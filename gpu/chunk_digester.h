// Digests of chunks in the memory in which they lie: one face for host and device memory. What the
// host computes is the truth; a device must give the same bytes.
#pragma once

#include <span>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"

namespace cairn {

/// Threads: any.
class ChunkDigester {
 public:
  virtual ~ChunkDigester() = default;
  /// The memory it reads: "host", or a device's name.
  virtual std::string_view memory() const = 0;
  /// out[i] = the digest of inputs[i]'s rows, put one after the other. The rows lie in memory() and
  /// do not change during the call. REQUIRES: out.size() == inputs.size().
  /// Errors: kFailed when the device failed; the host does not fail.
  virtual Status digest(std::span<const DigestInput> inputs, std::span<Digest> out) = 0;
};

/// The host's own, by SIMD (base/digest.h). Lives as long as the program.
ChunkDigester& host_digester();

}  // namespace cairn
