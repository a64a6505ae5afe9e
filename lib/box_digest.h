// Digests of boxes in memory, for those who compare what they hold without moving it.
#pragma once

#include <span>
#include <vector>

#include "lib/cairn.hpp"

namespace cairn {

/// Which bytes of each box are looked at.
struct Sampling {
  uint64_t bytes = 0;  ///< of one stretch of the box (lib/stretches.h); 0: all of it
  uint64_t turn = 0;   ///< which stretch
};

/// The part of the source's box that a sampling looks at, in elements of the tensor. Of a tensor of
/// sub-byte elements that is all. Errors: kUsage for a box outside the shape.
Result<Box> sampled_box(const TensorSource& source, const Sampling& sampling);

/// For each source the BLAKE3 digest of the bytes that are looked at, in row-major order, whatever
/// the strides. Memory beside them: 1 MiB a thread. Errors: kUsage naming the tensor.
Result<std::vector<Digest>> box_digests(std::span<const TensorSource> sources,
                                        const Sampling& sampling, const CallOptions& call);

}  // namespace cairn
