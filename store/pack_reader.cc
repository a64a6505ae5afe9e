#include "store/pack_reader.h"

#include <fmt/format.h>

namespace cairn {

Result<ByteSpan> PackReader::read(const PackRange& range, AlignedBuffer& room) {
  const auto& [pack, begin, end] = range;
  const std::string path = relative_path(FileKind::kPack, pack);
  auto file = buffered_.open(FileKind::kPack, pack);
  if (!file && file.error().code == Code::kNotFound) {
    return fail(Code::kCorrupt, fmt::format("the pack '{}' is missing", path));
  }
  if (!file) return tl::unexpected(file.error());
  if (room.size() < end - begin) room = AlignedBuffer(end - begin);
  const MutableBytes out = room.span().first(end - begin);
  CAIRN_TRY(const size_t count, (*file)->read_at(begin, out));
  if (count != out.size()) {
    return fail(Code::kCorrupt, fmt::format("the pack '{}' ends before offset {}", path, end));
  }
  read_bytes_ += count;
  return ByteSpan(out);
}

Result<ByteSpan> decode_checked(const Copy& copy, const Digest& digest, ByteSpan stored,
                                AlignedBuffer& room) {
  const auto damaged = [&](Code code, std::string_view why) {
    return fail(code, fmt::format("pack '{}', offset {}: {}",
                                  relative_path(FileKind::kPack, copy.pack), copy.offset, why));
  };
  ByteSpan decoded = stored;
  if (copy.encoding != Encoding::kRaw) {
    if (room.size() < copy.decoded_bytes) room = AlignedBuffer(copy.decoded_bytes);
    const MutableBytes out = room.span().first(copy.decoded_bytes);
    const Status done = decode(copy.encoding, stored, out);
    if (!done) return damaged(done.error().code, done.error().message);
    decoded = out;
  }
  if (decoded.size() != copy.decoded_bytes || blake3(decoded) != digest) {
    return damaged(Code::kCorrupt, "the bytes do not match their digest");
  }
  return decoded;
}

}  // namespace cairn
