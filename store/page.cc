#include "store/page.h"

#include "store/wire.h"

namespace cairn {

static constexpr uint32_t kVersion = 1;
enum EntryKind : uint8_t { kDigest = 0, kInline = 1, kPieces = 2 };

size_t copy_count(const ChunkEntry& entry) {
  if (std::holds_alternative<Digest>(entry)) return 1;
  if (const auto* pieces = std::get_if<std::vector<Piece>>(&entry)) return pieces->size();
  return 0;
}

static void append_pieces(Bytes& aux, const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    for (const uint64_t offset : piece.offsets) append_le(aux, offset);
    for (const uint64_t length : piece.lengths) append_le(aux, length);
    append_digest(aux, piece.digest);
  }
}

/// The 32-byte cell of an entry whose content lies in `aux`.
static void append_aux_cell(Bytes& cells, Bytes& aux, const ChunkEntry& entry) {
  const size_t offset = aux.size();
  uint32_t piece_count = 0;
  if (const auto* bytes = std::get_if<Bytes>(&entry)) {
    append_bytes(aux, *bytes);
  } else {
    const auto& pieces = std::get<std::vector<Piece>>(entry);
    piece_count = static_cast<uint32_t>(pieces.size());
    append_pieces(aux, pieces);
  }
  append_le(cells, static_cast<uint32_t>(offset));
  append_le(cells, static_cast<uint32_t>(aux.size() - offset));
  append_le(cells, piece_count);
  cells.resize(cells.size() + 20);
}

Bytes encode_page(const Page& page) {
  Bytes kinds, cells, aux;
  cells.reserve(page.entries.size() * 32);
  for (const ChunkEntry& entry : page.entries) {
    kinds.push_back(static_cast<uint8_t>(entry.index()));
    if (const auto* digest = std::get_if<Digest>(&entry)) {
      append_digest(cells, *digest);
    } else {
      append_aux_cell(cells, aux, entry);
    }
  }
  Bytes bytes;
  append_bytes(bytes, as_bytes("PAGE"));
  append_le(bytes, kVersion);
  append_le(bytes, static_cast<uint32_t>(page.entries.size()));
  append_le(bytes, static_cast<uint32_t>(aux.size()));
  append_bytes(bytes, kinds);
  append_zeros_to(bytes, 8);
  append_bytes(bytes, cells);
  append_bytes(bytes, aux);
  return bytes;
}

static std::vector<Piece> decode_pieces(WireReader& reader, ByteSpan aux, uint32_t count) {
  std::vector<Piece> pieces;
  const size_t piece_bytes = count == 0 ? 0 : aux.size() / count;
  if (piece_bytes < 32 || aux.size() % count != 0 || piece_bytes % 16 != 0) {
    reader.reject("has a malformed list of pieces");
    return pieces;
  }
  const size_t rank = (piece_bytes - 32) / 16;
  WireReader cursor(aux, "");
  for (uint32_t i = 0; i < count; ++i) {
    Piece piece;
    for (size_t axis = 0; axis < rank; ++axis) piece.offsets.push_back(cursor.take<uint64_t>());
    for (size_t axis = 0; axis < rank; ++axis) piece.lengths.push_back(cursor.take<uint64_t>());
    piece.digest = cursor.take_digest();
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

static ChunkEntry decode_entry(WireReader& reader, uint8_t kind, ByteSpan cell,
                               AuxiliaryBytes& aux) {
  if (kind == kDigest) {
    Digest digest;
    std::memcpy(digest.bytes.data(), cell.data(), digest.bytes.size());
    return digest;
  }
  const auto content = aux.take(load_le<uint32_t>(cell, 0), load_le<uint32_t>(cell, 4));
  if (kind > kPieces || !content ||
      (kind == kInline && (content->empty() || content->size() > kInlineBytesMax))) {
    reader.reject("has a malformed entry");
    return Bytes{};
  }
  if (kind == kInline) return Bytes(content->begin(), content->end());
  return decode_pieces(reader, *content, load_le<uint32_t>(cell, 8));
}

Result<Page> decode_page(ByteSpan bytes) {
  WireReader reader(bytes, "a page");
  reader.expect("PAGE");
  reader.expect_version(kVersion);
  const auto count = reader.take<uint32_t>();
  const auto aux_bytes = reader.take<uint32_t>();
  if (count > kPageEntriesMax) reader.reject("has too many entries");
  const ByteSpan kinds = reader.take_bytes(count);
  reader.take_bytes(round_up(reader.position(), 8) - reader.position());
  const ByteSpan cells = reader.take_bytes(uint64_t{count} * 32);
  AuxiliaryBytes aux(reader.take_bytes(aux_bytes));
  CAIRN_CHECK(reader.finish());
  Page page;
  page.entries.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    page.entries.push_back(decode_entry(reader, kinds[i], cells.subspan(i * 32, 32), aux));
  }
  CAIRN_CHECK(reader.status());
  return page;
}

}  // namespace cairn
