// A page: up to 4096 chunk entries, identified by the digest of its bytes, so that tags share the
// pages in which nothing changed (docs/FORMAT.md, section 5).
#pragma once

#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"

namespace cairn {

inline constexpr size_t kPageEntriesMax = 4096;
/// Chunks of at most this many bytes lie in their page.
inline constexpr size_t kInlineBytesMax = 256;

/// A part of a chunk that one writer held: a box in storage coordinates.
struct Piece {
  std::vector<uint64_t> offsets, lengths;
  Digest digest;

  bool operator==(const Piece&) const = default;
};

/// What identifies one chunk: its digest, its bytes, or the digests of its pieces.
using ChunkEntry = std::variant<Digest, Bytes, std::vector<Piece>>;

struct Page {
  std::vector<ChunkEntry> entries;
};

Bytes encode_page(const Page& page);
Result<Page> decode_page(ByteSpan bytes);

/// Stored copies that stand for an entry: one for a digest, one for each piece, none inline.
size_t copy_count(const ChunkEntry& entry);

/// Calls visit(digest) for each of those copies, in order.
template <class Visit>
void for_each_digest(const ChunkEntry& entry, const Visit& visit) {
  if (const auto* digest = std::get_if<Digest>(&entry)) visit(*digest);
  if (const auto* pieces = std::get_if<std::vector<Piece>>(&entry)) {
    for (const Piece& piece : *pieces) visit(piece.digest);
  }
}

}  // namespace cairn
