// Cuts contents in device memory where base/chunker.h would, as tiles that digest() then takes.
//
// Where a chunk ends depends on where it begins, so one cut comes after the other; but what the
// device does alone for each place is nearly all of the work:
//   1. mark: a bit for each word at which the hash is low enough (a candidate), a warp for 16 KiB.
//   2. list: candidates, and the beginning of each buffer, become a list of starts, in order.
//   3. link: each start finds the start after the chunk that would begin there, and how many chunks
//      of the largest size lie between. The last of a buffer is linked to the next buffer.
//   4. contract: within each 1,024 starts, by doubling: where the chain from each leaves them.
//   5. walk: one thread follows the chain, a step for each 1,024 starts.
//   6. emit: within each 1,024 starts, a thread follows the chain from where it enters them, and
//      all write the chunks as tiles, with what a digest needs to know of them.
// So no result depends on the shape of a grid. Rule and result: docs/FORMAT.md, section 5.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/chunk_rule.h"
#include "gpu/device.h"
#include "gpu/digest_plan.h"

namespace cairn::gpu {

/// Threads: any, once made.
class ChunkPlan {
 public:
  /// Buffers at any alignment (multiples of 16 are several times faster) that stay where they are.
  /// Errors: kUsage for a rule without a smallest or a largest chunk, or contents above 2^50
  /// bytes or 2^31 chunks.
  static Result<ChunkPlan> make(std::span<const DeviceSpan> buffers, const ChunkRule& rule);

  /// What the device must know. To be copied there, to an address that is a multiple of 16.
  ByteSpan image() const { return image_; }
  uint64_t workspace_bytes() const;
  /// What digest() takes with the chunks that cut() made as its image.
  const DigestPlan& chunks() const { return chunks_; }
  uint64_t chunks_bytes() const { return chunks_.layout().bytes(); }

 private:
  friend Status cut(Stream stream, const ChunkPlan& plan, DeviceSpan image, DeviceSpan workspace,
                    DeviceSpan chunks, Share share);

  ChunkRule rule_;
  uint64_t buffers_ = 0, segments_ = 0, starts_most_ = 0;
  DigestPlan chunks_;
  Bytes image_;  ///< the buffers, then where the segments of each begin
};

/// Fills `chunks` (chunks_bytes() of device memory). Errors: kUsage when a span is too small or not
/// aligned to 16 bytes; kFailed.
Status cut(Stream stream, const ChunkPlan& plan, DeviceSpan image, DeviceSpan workspace,
           DeviceSpan chunks, Share share = {});

/// The ends of the chunks of each buffer, from the head and the tiles in `chunks` (its first
/// layout().leaves_at() bytes). nullopt when the content has more candidates than the plan has room
/// for, several times what any but a made-up content has: the host must cut it.
/// Errors: kCorrupt when `chunks` contradicts the buffers.
Result<std::optional<std::vector<std::vector<uint64_t>>>> read_cuts(
    ByteSpan chunks, std::span<const DeviceSpan> buffers);

}  // namespace cairn::gpu
