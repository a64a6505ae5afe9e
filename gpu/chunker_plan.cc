#include <fmt/format.h>

#include <algorithm>

#include "gpu/chunk_space.h"

namespace cairn::gpu {

static constexpr uint64_t kStartsMost = uint64_t{1} << 31;
/// How many times the candidates of content of chance there is room for, and how many anyway.
static constexpr uint64_t kRoomForCandidates = 4, kRoomAnyway = 4096;

Result<ChunkPlan> ChunkPlan::make(std::span<const DeviceSpan> buffers, const ChunkRule& rule) {
  const bool is_rule = rule.min_bytes > 0 && rule.min_bytes % kWordBytes == 0 &&
                       rule.min_bytes <= rule.max_bytes && rule.max_bytes % kWordBytes == 0 &&
                       rule.max_bytes <= kTileBytesMost;
  if (!is_rule) {
    return fail(Code::kUsage, fmt::format("chunks of {} to {} bytes: no such rule", rule.min_bytes,
                                          rule.max_bytes));
  }
  ChunkPlan plan;
  plan.rule_ = rule;
  plan.buffers_ = buffers.size();
  uint64_t bytes = 0, words = 0, chunks = 0, chunk_bytes = 0;
  LeafKinds kinds{false, true, false};  // cuts are at multiples of 4
  Bytes first_segments;
  for (const DeviceSpan& buffer : buffers) {
    append_bytes(plan.image_, as_bytes(&buffer, sizeof buffer));
    append_le(first_segments, plan.segments_);
    if (buffer.bytes > kTileBytesMost || (bytes += buffer.bytes) > kTileBytesMost) {
      return fail(Code::kUsage, fmt::format("{} buffers are more bytes than one plan takes: 2^50",
                                            buffers.size()));
    }
    kinds.other = kinds.other || reinterpret_cast<uintptr_t>(buffer.data) % kWordBytes != 0;
    words += buffer.bytes / kWordBytes;
    chunks += (buffer.bytes + rule.min_bytes - 1) / rule.min_bytes;
    chunk_bytes = std::max(chunk_bytes, std::min(buffer.bytes, rule.max_bytes));
    plan.segments_ += std::max<uint64_t>(1, ceil_div(buffer.bytes / kWordBytes, kSegmentWords));
  }
  append_le(first_segments, plan.segments_);
  append_bytes(plan.image_, first_segments);
  const uint64_t expected = (words >> 32) * (uint64_t{rule.threshold} + 1) +
                            (((words & 0xffffffff) * (uint64_t{rule.threshold} + 1)) >> 32);
  const uint64_t candidates = std::min(words, kRoomForCandidates * expected + kRoomAnyway);
  plan.starts_most_ = candidates + buffers.size();
  if (plan.starts_most_ > kStartsMost || chunks > kStartsMost) {
    return fail(Code::kUsage,
                fmt::format("{} bytes in chunks of {} or more are more than 2^31 chunks", bytes,
                            rule.min_bytes),
                "cut fewer buffers at a time");
  }
  CAIRN_TRY(plan.chunks_, DigestPlan::make_for(chunks, chunk_bytes, bytes, kinds));
  return plan;
}

uint64_t ChunkPlan::workspace_bytes() const {
  return ChunkSpace{segments_, buffers_, starts_most_}.bytes();
}

Result<std::optional<std::vector<std::vector<uint64_t>>>> read_cuts(
    ByteSpan chunks, std::span<const DeviceSpan> buffers) {
  const DigestImage image;
  const auto damaged = [](std::string_view what) {
    return fail(Code::kCorrupt, fmt::format("the chunks that a device cut: {}", what));
  };
  if (chunks.size() < image.tiles_at()) return damaged("no head");
  const auto head = load_le<DigestHead>(chunks);
  if (head.status == kTooManyCandidates) return std::nullopt;
  if (head.status != kCutsMade) return damaged("an unknown status");
  const uint64_t count = head.tiles;
  if (count > (chunks.size() - image.tiles_at()) / sizeof(Tile)) return damaged("fewer than told");
  std::vector<std::vector<uint64_t>> ends(buffers.size());
  uint64_t number = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    uint64_t end = 0;
    while (end < buffers[i].bytes) {
      if (number == count) return damaged("too few");
      const auto tile = load_le<Tile>(chunks, image.tiles_at() + sizeof(Tile) * number++);
      if (tile.data != buffers[i].data + end || tile.row_bytes == 0 || tile.rows != 1 ||
          tile.row_bytes > buffers[i].bytes - end) {
        return damaged("not in order");
      }
      ends[i].push_back(end += tile.row_bytes);
    }
  }
  if (number != count) return damaged("too many");
  return ends;
}

}  // namespace cairn::gpu
