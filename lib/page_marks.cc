#include "lib/page_marks.h"

#include "store/meta_pack.h"
#include "store/page.h"

namespace cairn {

static uint64_t mark_of(const ChunkEntry& entry) {
  if (const auto* digest = std::get_if<Digest>(&entry)) return load_le<uint64_t>(digest->bytes);
  if (const auto* bytes = std::get_if<Bytes>(&entry))
    return load_le<uint64_t>(blake3(*bytes).bytes);
  Bytes identity;
  for (const Piece& piece : std::get<std::vector<Piece>>(entry)) {
    for (const uint64_t offset : piece.offsets) append_le(identity, offset);
    for (const uint64_t length : piece.lengths) append_le(identity, length);
    append_bytes(identity, piece.digest.bytes);
  }
  return load_le<uint64_t>(blake3(identity).bytes);
}

Result<std::shared_ptr<const PageMarks>> PageMarkCache::marks(const Reference& page) {
  auto& kept = kept_[page.digest];
  if (kept != nullptr) return kept;
  CAIRN_TRY(const Bytes bytes, read_object(store_.meta_files(), page));
  CAIRN_TRY(const Page decoded, decode_page(bytes));
  ++pages_read_;
  auto marks = std::make_shared<PageMarks>();
  marks->reserve(decoded.entries.size());
  for (const ChunkEntry& entry : decoded.entries) marks->push_back(mark_of(entry));
  kept = std::move(marks);
  return kept;
}

void PageMarkCache::keep_only(const std::vector<Digest>& pages) {
  std::unordered_map<Digest, std::shared_ptr<const PageMarks>> kept;
  for (const Digest& page : pages) {
    const auto found = kept_.find(page);
    if (found != kept_.end()) kept.insert(*found);
  }
  kept_ = std::move(kept);
}

}  // namespace cairn
