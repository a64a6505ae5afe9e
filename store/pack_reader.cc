#include "store/pack_reader.h"

#include <fmt/format.h>

#include "store/seal.h"

namespace cairn {

Result<std::shared_ptr<File>> PackReader::open(FilePool& files, const FileId& pack) {
  auto file = files.open(FileKind::kPack, pack);
  if (!file && file.error().code == Code::kNotFound) {
    return fail(Code::kCorrupt,
                fmt::format("the pack '{}' is missing", relative_path(FileKind::kPack, pack)));
  }
  return file;
}

bool PackReader::read_cached(const FileId& pack, uint64_t offset, MutableBytes out) {
  const auto file = open(cached_, pack);
  if (!file || !(*file)->read_cached_at(offset, out)) return false;
  read_bytes_ += out.size();
  return true;
}

Result<ByteSpan> PackReader::read(const PackRange& range, AlignedBuffer& room) {
  const auto& [pack, begin, end] = range;
  const uint64_t first = begin - begin % kDirectAlignment;
  const uint64_t bytes = round_up(end, kDirectAlignment) - first;
  if (room.size() < bytes) room = AlignedBuffer(bytes);
  const MutableBytes wanted = room.span().subspan(begin - first, end - begin);
  if (read_cached(pack, begin, wanted)) return ByteSpan(wanted);
  CAIRN_TRY(const auto file, open(direct_, pack));
  CAIRN_TRY(const size_t count, file->read_at(first, room.span().first(bytes)));
  if (count < end - first) {
    return fail(Code::kCorrupt, fmt::format("the pack '{}' ends before offset {}",
                                            relative_path(FileKind::kPack, pack), end));
  }
  read_bytes_ += wanted.size();
  return ByteSpan(wanted);
}

Error about_copy(const Copy& copy, Error error) {
  error.message = fmt::format("pack '{}', offset {}: {}", relative_path(FileKind::kPack, copy.pack),
                              copy.offset, error.message);
  return error;
}

Error blame(const Copy& copy, ByteSpan stored, Error met) {
  const Status sealed = check_seal(copy, stored);
  return sealed ? met : sealed.error();
}

Result<ByteSpan> decode_checked(const Copy& copy, const Digest& digest, ByteSpan stored,
                                AlignedBuffer& room) {
  ByteSpan decoded = stored;
  if (copy.encoding != Encoding::kRaw) {
    if (room.size() < copy.decoded_bytes) room = AlignedBuffer(copy.decoded_bytes);
    const MutableBytes out = room.span().first(copy.decoded_bytes);
    const Status done = decode(copy.encoding, codec_parameters(copy), stored, {}, out);
    if (!done) return tl::unexpected(about_copy(copy, blame(copy, stored, done.error())));
    decoded = out;
  }
  if (decoded.size() == copy.decoded_bytes && blake3(decoded) == digest) return decoded;
  return tl::unexpected(
      about_copy(copy, {Code::kCorrupt, "the bytes do not match their digest", ""}));
}

Status check_alone(const Copy& copy, bool has_bases, const Digest& digest, ByteSpan stored,
                   AlignedBuffer& room) {
  if (!has_bases) {
    CAIRN_CHECK(decode_checked(copy, digest, stored, room));
    return {};
  }
  const Status sealed = check_seal(copy, stored);
  if (!sealed) return tl::unexpected(about_copy(copy, sealed.error()));
  return {};
}

}  // namespace cairn
