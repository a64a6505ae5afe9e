#include "store/pack_reader.h"

#include <fmt/format.h>

#include "base/encodings/encode.h"
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

static tl::unexpected<Error> fail_short(const FileId& pack, uint64_t end) {
  return fail(Code::kCorrupt, fmt::format("the pack '{}' ends before offset {}",
                                          relative_path(FileKind::kPack, pack), end));
}

/// Asked before room is made for what damaged metadata says.
Status PackReader::check_end(const FileId& pack, uint64_t end) {
  CAIRN_TRY(const auto file, open(cached_, pack));
  CAIRN_TRY(const uint64_t bytes, file->size());
  if (end > bytes) return fail_short(pack, end);
  return {};
}

Result<ByteSpan> PackReader::read(const PackRange& range, AlignedBuffer& room) {
  const auto& [pack, begin, end] = range;
  const uint64_t first = begin - begin % kDirectAlignment;
  const uint64_t bytes = round_up(end, kDirectAlignment) - first;
  if (trust_ == Trust::kNothing) {
    CAIRN_TRY(const auto file, open(cached_, pack));
    file->distrust(first, bytes);
  }
  CAIRN_CHECK(check_end(pack, end));
  if (room.size() < bytes) room = AlignedBuffer(bytes);
  const MutableBytes wanted = room.span().subspan(begin - first, end - begin);
  if (read_cached(pack, begin, wanted)) return ByteSpan(wanted);
  CAIRN_TRY(const auto file, open(direct_, pack));
  CAIRN_TRY(const size_t count, file->read_at(first, room.span().first(bytes)));
  if (count < end - first) return fail_short(pack, end);
  read_bytes_ += wanted.size();
  return ByteSpan(wanted);
}

Error about_copy(const Copy& copy, Error error) {
  error.message = fmt::format("pack '{}', offset {}: {}", relative_path(FileKind::kPack, copy.pack),
                              copy.offset, error.message);
  return error;
}

Status PackReader::check_size(const Copy& copy) const {
  if (copy.decoded_bytes <= chunk_bytes_max_) return {};
  return fail(Code::kCorrupt,
              fmt::format("a chunk of {} bytes, more than any may have", copy.decoded_bytes));
}

Error other_digest(const Copy& copy) {
  return about_copy(copy, {Code::kCorrupt, "the bytes do not match their digest", ""});
}

static Status check_digest(const Copy& copy, const Digest& digest, ByteSpan decoded) {
  if (decoded.size() == copy.decoded_bytes && blake3(decoded) == digest) return {};
  return tl::unexpected(other_digest(copy));
}

Result<ByteSpan> PackReader::decode_checked(const Copy& copy, const Digest& digest, ByteSpan stored,
                                            AlignedBuffer& room) const {
  const Status fits = check_size(copy);
  if (!fits) return tl::unexpected(about_copy(copy, fits.error()));
  if (copy.encoding == Encoding::kRaw) {
    CAIRN_CHECK(check_digest(copy, digest, stored));
    return stored;
  }
  if (room.size() < copy.decoded_bytes) room = AlignedBuffer(copy.decoded_bytes);
  const MutableBytes out = room.span().first(copy.decoded_bytes);
  CAIRN_CHECK(decode_into(copy, digest, stored, out));
  return ByteSpan(out);
}

Status PackReader::decode_into(const Copy& copy, const Digest& digest, ByteSpan stored,
                               MutableBytes out) const {
  CAIRN_CHECK(decode_unchecked(copy, stored, out));
  return check_digest(copy, digest, out);
}

/// `done`: how the decoding of the copy has ended.
static Status ended(const Copy& copy, ByteSpan stored, const Status& done) {
  if (done) return {};
  return tl::unexpected(about_copy(copy, decode_error(copy, stored, done.error())));
}

Status PackReader::decode_unchecked(const Copy& copy, ByteSpan stored, MutableBytes out) const {
  return ended(copy, stored, decode(copy.encoding, codec_parameters(copy), stored, {}, out));
}

Status PackReader::decode_to_planes(const Copy& copy, ByteSpan stored, MutableBytes out) const {
  return ended(copy, stored, cairn::decode_to_planes(codec_parameters(copy), stored, out));
}

unsigned plane_item_bytes(const Copy& copy) {
  const ByteSpan parameters = codec_parameters(copy);
  if (copy.encoding != Encoding::kPlanes || !copy.bases.empty() || parameters.empty()) return 0;
  const auto form = decode_item_form(parameters[0]);
  return form && form->bytes > 1 ? form->bytes : 0;
}

Status PackReader::check_alone(const Copy& copy, bool has_bases, const Digest& digest,
                               ByteSpan stored, AlignedBuffer& room) const {
  if (!has_bases) CAIRN_CHECK(decode_checked(copy, digest, stored, room));
  const Status sealed = check_seal(copy, stored);
  if (!sealed) return tl::unexpected(about_copy(copy, sealed.error()));
  return {};
}

}  // namespace cairn
