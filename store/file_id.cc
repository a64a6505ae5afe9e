#include "store/file_id.h"

#include <charconv>

#include "base/random.h"

namespace cairn {

Result<SessionId> SessionId::parse(std::string_view hex) {
  SessionId id;
  if (!from_hex(hex, id.bytes)) {
    return fail(Code::kUsage, "'" + std::string(hex) + "' is no session id");
  }
  return id;
}

Result<SessionId> SessionId::fresh() {
  SessionId id;
  CAIRN_CHECK(random_bytes(id.bytes));
  return id;
}

Result<FileId> FileId::parse(std::string_view name) {
  const auto bad = [&] { return fail(Code::kUsage, "'" + std::string(name) + "' is no file id"); };
  if (name.size() < 34 || name[32] != '-') return bad();
  FileId file;
  CAIRN_TRY(file.session, SessionId::parse(name.substr(0, 32)));
  const std::string_view digits = name.substr(33);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), file.number);
  if (error != std::errc{} || end != digits.data() + digits.size() || file.name() != name) {
    return bad();
  }
  return file;
}

std::string relative_path(FileKind kind, const FileId& file) {
  const std::string name = file.name();
  return (kind == FileKind::kPack ? "packs/" : "meta/") + name.substr(0, 2) + "/" + name;
}

void append_file_id(Bytes& bytes, const FileId& file) {
  append_bytes(bytes, file.session.bytes);
  append_le(bytes, file.number);
  append_le(bytes, uint32_t{0});
}

FileId take_file_id(WireReader& reader) {
  FileId file;
  const ByteSpan session = reader.take_bytes(file.session.bytes.size());
  if (!session.empty()) std::memcpy(file.session.bytes.data(), session.data(), session.size());
  file.number = reader.take<uint32_t>();
  if (reader.take<uint32_t>() != 0) reader.reject("has a reserved field that is not zero");
  return file;
}

void append_reference(Bytes& bytes, const Reference& reference) {
  append_file_id(bytes, reference.file);
  append_le(bytes, reference.offset);
  append_le(bytes, reference.bytes);
  append_digest(bytes, reference.digest);
}

Reference take_reference(WireReader& reader) {
  Reference reference;
  reference.file = take_file_id(reader);
  reference.offset = reader.take<uint64_t>();
  reference.bytes = reader.take<uint64_t>();
  reference.digest = reader.take_digest();
  return reference;
}

}  // namespace cairn
