#include "store/attachment.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace cairn {

ChunkEdges ChunkEdges::runs(uint64_t bytes, uint64_t run_bytes) {
  ChunkEdges edges;
  edges.bytes_ = bytes;
  edges.run_bytes_ = run_bytes;
  return edges;
}

ChunkEdges ChunkEdges::told(std::vector<uint64_t> ends) {
  ChunkEdges edges;
  edges.are_told_ = true;
  edges.ends_ = std::move(ends);
  return edges;
}

uint64_t ChunkEdges::count() const {
  return are_told_ ? ends_.size() : ceil_div(bytes_, run_bytes_);
}

uint64_t ChunkEdges::begin(uint64_t chunk) const {
  if (!are_told_) return chunk * run_bytes_;
  return chunk == 0 ? 0 : ends_[chunk - 1];
}

uint64_t ChunkEdges::length(uint64_t chunk) const {
  if (!are_told_) return std::min(run_bytes_, bytes_ - begin(chunk));
  return ends_[chunk] - begin(chunk);
}

/// The longest chunk that an attachment tells.
static uint64_t longest_told(const ChunkEdges& edges) {
  uint64_t longest = 0;
  for (uint64_t chunk = 0; chunk < edges.count(); ++chunk) {
    longest = std::max(longest, edges.length(chunk));
  }
  return longest;
}

Status settle_edges(std::vector<AttachmentInfo>& attachments, const Config& config) {
  const bool are_told = has_content_cuts(config);
  for (AttachmentInfo& attachment : attachments) {
    const auto bad = [&](std::string_view why) {
      return fail(Code::kCorrupt, fmt::format("a manifest is damaged: attachment '{}' {}",
                                              shown(attachment.name), why));
    };
    if (attachment.edges.are_told() != are_told) {
      return bad(are_told ? "has no chunk lengths" : "has chunk lengths of its own");
    }
    if (!are_told) {
      attachment.edges = ChunkEdges::runs(attachment.bytes, config.opaque_chunk_bytes);
    } else if (longest_told(attachment.edges) > attachment_chunk_bytes_max(config)) {
      return bad("has a chunk that is too long");
    }
  }
  return {};
}

}  // namespace cairn
