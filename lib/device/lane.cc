#include "lib/device/lane.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"

namespace cairn {

static constexpr uint64_t kPieceBytes = 2048;  // fewer a piece, and slabs are not full
static constexpr uint64_t kPiecesLeast = 64, kPiecesMost = 16384;

uint64_t slab_pieces_most(const StagingOptions& options) {
  return std::clamp(options.slab_bytes / kPieceBytes, kPiecesLeast, kPiecesMost);
}

uint64_t digests_room(uint64_t tiles, uint64_t bytes) {
  // A tile's line in the image, its digest, and what its nodes are rounded up by on all levels.
  constexpr uint64_t kTileBytes = 64 + sizeof(Digest) + 128;
  // A node for each leaf of 1 KiB, for each 16 of these, and so on.
  constexpr uint64_t kLeafBytes = sizeof(Digest) * 16 / 15 + 1;
  const uint64_t leaves = bytes / 1024 + tiles;
  return kTileBytes * tiles + kLeafBytes * leaves + 8 * Arena::kAlignment;
}

/// Beside what a slab holds: digests of it, and what it is gathered by.
static uint64_t slab_overhead(const StagingOptions& options) {
  const uint64_t pieces = slab_pieces_most(options);
  return digests_room(pieces, options.slab_bytes) + gpu::DigestImage{pieces}.bytes() +
         gpu::dirty_set_bytes(pieces) + sizeof(Digest) * pieces + 8 * Arena::kAlignment;
}

Result<Lane> Lane::make(unsigned device, const StagingOptions& options) {
  Lane lane;
  lane.device_ = device;
  lane.options_ = options;
  CAIRN_TRY(lane.hashing_, gpu::OwnStream::make());
  CAIRN_TRY(lane.work_, gpu::OwnStream::make());
  CAIRN_TRY(lane.copies_, gpu::OwnStream::make());
  CAIRN_TRY(lane.caller_, gpu::Event::make());
  for (gpu::Event& event : lane.copied_) {
    CAIRN_TRY(event, gpu::Event::make());
  }
  return lane;
}

Status Lane::begin(std::span<const gpu::Stream> callers) {
  brought_bytes_ = 0;
  for (const gpu::Stream caller : callers) {
    CAIRN_CHECK(caller_.record(caller));
    CAIRN_CHECK(gpu::wait_for(work_.stream(), caller_));
  }
  // From here on it is the point behind all of them.
  CAIRN_CHECK(caller_.record(work_.stream()));
  CAIRN_CHECK(gpu::wait_for(hashing_.stream(), caller_));
  return find_room();
}

/// Two slabs, and as much again for digests.
uint64_t lane_bytes_least(const StagingOptions& options) {
  return 3 * round_up(options.slab_bytes + slab_overhead(options), Arena::kAlignment);
}

Status Lane::find_room() {
  has_room_ = false;
  memory_ = {};
  if (lent_.bytes != 0) own_ = {};
  const bool is_enough = options_.device_bytes >= lane_bytes_least(options_);
  if (lent_.bytes == 0 && own_.size() == 0 && is_enough) {
    auto memory = gpu::DeviceMemory::allocate(options_.device_bytes);
    if (!memory && memory.error().code == Code::kNoSpace) return {};
    if (!memory) return tl::unexpected(memory.error());
    own_ = *std::move(memory);
  }
  const gpu::DeviceSpan memory = lent_.bytes != 0 ? lent_ : own_.span();
  const uint64_t slab = round_up(options_.slab_bytes + slab_overhead(options_), Arena::kAlignment);
  if (memory.bytes < lane_bytes_least(options_)) return {};
  const uint64_t digests = (memory.bytes - 2 * slab) / 2 / Arena::kAlignment * Arena::kAlignment;
  for (unsigned i = 0; i < 2; ++i) {
    slabs_[i] = Arena({memory.data + i * slab, slab});
    digests_[i] = Arena({memory.data + 2 * slab + i * digests, digests});
  }
  memory_ = memory;
  has_room_ = true;
  return {};
}

Result<MutableBytes> Lane::told(unsigned turn, uint64_t bytes) {
  gpu::PinnedMemory& memory = told_[turn % 2];
  if (memory.size() < bytes) {
    CAIRN_TRY(memory, gpu::PinnedMemory::allocate(round_up(bytes, kMiB)));
  }
  return memory.span().first(bytes);
}

Status Lane::bring(gpu::Stream stream, MutableBytes to, const void* from) {
  count_brought(to.size());
  return gpu::copy_down(stream, to, from);
}

Status Lane::finish() const {
  // All of them, whatever comes of one.
  const Status hashed = gpu::synchronize(hashing_.stream());
  const Status worked = gpu::synchronize(work_.stream());
  const Status copied = gpu::synchronize(copies_.stream());
  CAIRN_CHECK(hashed);
  CAIRN_CHECK(worked);
  return copied;
}

Result<gpu::DeviceSpan> take_room(Arena& arena, uint64_t bytes) {
  const auto room = arena.take(bytes);
  if (room) return *room;
  return fail(Code::kNoSpace, fmt::format("no {} bytes are left of the {} that a device's work has",
                                          bytes, arena.bytes()));
}

Result<gpu::DeviceSpan> enqueue_digests(const Lane& lane, gpu::Stream stream, Arena& arena,
                                        std::span<const gpu::Tile> tiles) {
  CAIRN_TRY(const gpu::DigestPlan plan, gpu::DigestPlan::make(tiles));
  CAIRN_TRY(const gpu::DeviceSpan image, take_room(arena, plan.image().size()));
  CAIRN_TRY(const gpu::DeviceSpan workspace, take_room(arena, plan.workspace_bytes()));
  CAIRN_TRY(const gpu::DeviceSpan out, take_room(arena, sizeof(Digest) * tiles.size()));
  CAIRN_CHECK(gpu::copy_up(stream, image.data, plan.image()));
  CAIRN_CHECK(gpu::digest(stream, plan, image, workspace, out, lane.share()));
  return out;
}

}  // namespace cairn
