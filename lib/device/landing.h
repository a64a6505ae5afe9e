// Contents on their way from a device to the host: put side by side in a slab there, then copied
// over in one piece while the next slab is filled.
#pragma once

#include <span>
#include <vector>

#include "base/digest.h"
#include "lib/device/content.h"
#include "lib/device/lane.h"

namespace cairn {

/// Where contents begin in the memory that they land in: at multiples of 16.
constexpr uint64_t landed_bytes(uint64_t content_bytes) { return round_up(content_bytes, 16); }

/// Contents side by side in a slab, in an order of their own.
struct Gathered {
  gpu::DeviceSpan memory;
  std::vector<uint64_t> offsets;  ///< of each content
  std::vector<gpu::Tile> tiles;   ///< each, where it is in the slab
};
/// Enqueues it. Errors: kNoSpace; kFailed.
Result<Gathered> gather_contents(const Lane& lane, Arena& arena,
                                 std::span<const Content* const> contents);

class Landing {
 public:
  /// Enqueues it all: no more pieces than slab_pieces_most(), no more bytes than a slab. `host` is
  /// pinned, and lives until it has landed; it has landed_bytes() of each content, then 32 bytes
  /// for each digest. Errors: kNoSpace; kFailed.
  static Result<Landing> begin(Lane& lane, unsigned turn, std::span<const Content* const> contents,
                               MutableBytes host);

  /// The second half: what was gathered, and digests of it, go to the host's memory, when the
  /// stream of work is done with them.
  static Result<Landing> send(Lane& lane, unsigned turn, const Gathered& gathered,
                              std::span<const Content* const> contents, gpu::DeviceSpan digests,
                              MutableBytes host);

  /// Waits until they have landed. The device reads the tensors no more when its stream work() is
  /// done with what was enqueued before.
  Status wait() const { return landed_.wait(); }
  /// Of each content: its bytes, and the digest that the device made of what it had gathered.
  ByteSpan bytes(size_t content) const { return bytes_[content]; }
  Digest digest(size_t content) const;

 private:
  std::vector<ByteSpan> bytes_;
  ByteSpan digests_;
  gpu::Event landed_;
};

}  // namespace cairn
