#include "store/pack_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fs.h"
#include "store/locator.h"
#include "store/wire.h"

namespace cairn {

static constexpr std::string_view kTrailerMagic = "CAIRNEND";

static std::string_view header_magic(FileKind kind) {
  return kind == FileKind::kPack ? "CAIRNPK1" : "CAIRNMP1";
}

uint64_t copy_alignment(uint64_t stored_bytes) {
  const bool is_whole = stored_bytes % kDirectAlignment == 0;
  return is_whole && stored_bytes >= kAlignedCopyBytesMin ? kDirectAlignment : 8;
}

uint64_t PackLayout::add(uint64_t stored_bytes, uint64_t aux_bytes) {
  const uint64_t offset = round_up(end_, copy_alignment(stored_bytes));
  end_ = offset + stored_bytes;
  aux_bytes_ += aux_bytes;
  ++count_;
  return offset;
}

uint64_t PackLayout::file_bytes() const {
  return round_up(end_, 8) + count_ * kPackRecordBytes + aux_bytes_ + kPackTrailerBytes;
}

uint64_t PackLayout::file_bytes_with(uint64_t stored_bytes, uint64_t aux_bytes) const {
  PackLayout longer = *this;
  longer.add(stored_bytes, aux_bytes);
  return longer.file_bytes();
}

Bytes encode_pack_header(FileKind kind, const FileId& file) {
  Bytes bytes;
  append_bytes(bytes, as_bytes(header_magic(kind)));
  append_file_id(bytes, file);
  return bytes;
}

static Digest digest_of(ByteSpan header, ByteSpan table) {
  Blake3 hasher;
  hasher.update(header);
  hasher.update(table);
  return hasher.finish();
}

static void append_trailer(Bytes& footer, FileKind kind, const FileId& file, uint64_t count,
                           uint64_t table_offset, uint64_t aux_bytes) {
  const Digest digest = digest_of(encode_pack_header(kind, file), footer);
  append_le(footer, count);
  append_le(footer, table_offset);
  append_le(footer, aux_bytes);
  append_digest(footer, digest);
  append_bytes(footer, as_bytes(kTrailerMagic));
}

Bytes encode_pack_footer(const FileId& file, const std::deque<PackedCopy>& copies,
                         uint64_t table_offset) {
  Bytes footer, aux;
  footer.reserve(copies.size() * kPackRecordBytes + kPackTrailerBytes);
  for (const PackedCopy& copy : copies) {
    append_digest(footer, copy.digest);
    append_le(footer, copy.offset);
    append_le(footer, copy.stored_bytes);
    append_le(footer, copy.decoded_bytes);
    append_le(footer, static_cast<uint8_t>(copy.encoding));
    append_le(footer, static_cast<uint8_t>(copy.bases.size()));
    append_le(footer, static_cast<uint16_t>(copy.parameters.size()));
    append_le(footer, static_cast<uint32_t>(aux.size()));
    for (const Digest& base : copy.bases) append_digest(aux, base);
    append_bytes(aux, copy.parameters);
  }
  append_bytes(footer, aux);
  append_trailer(footer, FileKind::kPack, file, copies.size(), table_offset, aux.size());
  return footer;
}

Bytes encode_meta_footer(const FileId& file, const std::vector<PackedObject>& objects,
                         uint64_t table_offset) {
  Bytes footer;
  for (const PackedObject& object : objects) {
    append_le(footer, static_cast<uint32_t>(object.kind));
    append_le<uint32_t>(footer, 0);
    append_le(footer, object.offset);
    append_le(footer, object.bytes);
    append_digest(footer, object.digest);
  }
  append_trailer(footer, FileKind::kMeta, file, objects.size(), table_offset, 0);
  return footer;
}

Result<Footer> decode_pack_trailer(ByteSpan trailer, uint64_t file_bytes, std::string_view path) {
  WireReader reader(trailer, fmt::format("the trailer of '{}'", path));
  Footer footer;
  footer.count = reader.take<uint64_t>();
  footer.table_offset = reader.take<uint64_t>();
  footer.aux_bytes = reader.take<uint64_t>();
  footer.digest = reader.take_digest();
  reader.expect(kTrailerMagic);
  CAIRN_CHECK(reader.finish());
  const auto records = checked_mul<uint64_t>(footer.count, kPackRecordBytes);
  const auto table = records ? checked_add(*records, footer.aux_bytes) : std::nullopt;
  const auto end = table ? checked_add(*table, footer.table_offset) : std::nullopt;
  if (!end || footer.table_offset < kPackHeaderBytes || footer.table_offset % 8 != 0 ||
      checked_add(*end, kPackTrailerBytes) != file_bytes) {
    return fail(Code::kCorrupt,
                fmt::format("the trailer of '{}' is damaged: its lengths do not add up", path));
  }
  return footer;
}

static Status check_digest(FileKind kind, const FileId& file, const Footer& footer, ByteSpan header,
                           ByteSpan table, std::string_view path) {
  const Bytes wanted = encode_pack_header(kind, file);
  if (!std::equal(header.begin(), header.end(), wanted.begin(), wanted.end())) {
    return fail(Code::kCorrupt, fmt::format("the header of '{}' is damaged", path));
  }
  if (digest_of(header, table) != footer.digest) {
    return fail(Code::kCorrupt,
                fmt::format("the table of '{}' is damaged: it does not match its digest", path));
  }
  return {};
}

Result<std::vector<PackedCopy>> decode_pack_table(const FileId& file, const Footer& footer,
                                                  ByteSpan header, ByteSpan table,
                                                  std::string_view path) {
  CAIRN_CHECK(check_digest(FileKind::kPack, file, footer, header, table, path));
  AuxiliaryBytes aux(table.last(footer.aux_bytes));
  WireReader reader(table.first(table.size() - footer.aux_bytes),
                    fmt::format("the table of '{}'", path));
  std::vector<PackedCopy> copies(reader.take_count(footer.count, kPackRecordBytes));
  for (PackedCopy& copy : copies) {
    copy.digest = reader.take_digest();
    copy.offset = reader.take<uint64_t>();
    copy.stored_bytes = reader.take<uint32_t>();
    copy.decoded_bytes = reader.take<uint32_t>();
    copy.encoding = static_cast<Encoding>(reader.take<uint8_t>());
    const size_t base_count = reader.take<uint8_t>();
    const size_t parameter_bytes = reader.take<uint16_t>();
    const auto own = aux.take(reader.take<uint32_t>(), base_count * 32 + parameter_bytes);
    if (!own) {
      reader.reject("has a malformed row");
      break;
    }
    WireReader cursor(*own, "");
    for (size_t i = 0; i < base_count; ++i) copy.bases.push_back(cursor.take_digest());
    const ByteSpan parameters = cursor.take_bytes(parameter_bytes);
    copy.parameters.assign(parameters.begin(), parameters.end());
  }
  CAIRN_CHECK(reader.finish());
  return copies;
}

Result<std::vector<PackedObject>> decode_meta_table(const FileId& file, const Footer& footer,
                                                    ByteSpan header, ByteSpan table,
                                                    std::string_view path) {
  CAIRN_CHECK(check_digest(FileKind::kMeta, file, footer, header, table, path));
  WireReader reader(table, fmt::format("the table of '{}'", path));
  std::vector<PackedObject> objects(reader.take_count(footer.count, kPackRecordBytes));
  for (PackedObject& object : objects) {
    object.kind = static_cast<ObjectKind>(reader.take<uint32_t>());
    reader.take<uint32_t>();
    object.offset = reader.take<uint64_t>();
    object.bytes = reader.take<uint64_t>();
    object.digest = reader.take_digest();
  }
  CAIRN_CHECK(reader.finish());
  return objects;
}

}  // namespace cairn
