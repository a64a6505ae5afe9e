// Who reads what of a load, and how it travels to the others that want it. Pure: the same on all
// ranks that plan the same boxes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"

namespace cairn::gpu {

/// A box that ranks want, and which, in order.
struct WantedBox {
  uint64_t bytes = 0;
  std::vector<unsigned> ranks;
};

/// A part of a box in a bucket.
struct BucketPart {
  uint32_t box = 0;
  uint64_t offset = 0;  ///< in the box
  uint64_t bytes = 0;
  uint64_t place = 0;  ///< in the bucket; a multiple of BucketPlan::kAlignment
};

/// What one rank reads and all that want it get at once.
struct Bucket {
  unsigned reader = 0;
  std::vector<unsigned> ranks;  ///< that want it, the reader among them
  std::vector<BucketPart> parts;
  uint64_t bytes = 0;  ///< all of it
};

struct BucketPlan {
  static constexpr uint64_t kAlignment = 16;
  static constexpr uint64_t kBytesMost = 64 * kMiB;

  std::vector<unsigned> readers;  ///< of each box: one that wants it
  std::vector<uint64_t> bytes;    ///< that each rank reads
  /// In the order in which they travel: the first of each reader, the second of each, so that all
  /// read at once. What one rank wants alone is in none: it reads that for itself.
  std::vector<Bucket> buckets;
};

/// Boxes are dealt as units are (gpu/exchange_plan.h), by bytes. Boxes of one reader that the same
/// ranks want travel together, in their order; larger ones than a bucket, in several.
/// Errors: kUsage for a box that nobody wants, ranks out of order or beyond `ranks`, bytes_most
/// below 16, or bytes beyond 2^63.
Result<BucketPlan> plan_buckets(std::span<const WantedBox> boxes, unsigned ranks,
                                uint64_t bytes_most = BucketPlan::kBytesMost);

/// Equal on ranks whose plans are.
Digest digest_of(const BucketPlan& plan);

}  // namespace cairn::gpu
