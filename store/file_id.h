// Names of the files of a store. A session makes every name once, so a name that was deleted never
// comes back with other bytes (docs/PROTOCOL.md: names belong to sessions).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"
#include "store/wire.h"

namespace cairn {

struct SessionId {
  std::array<uint8_t, 16> bytes{};

  auto operator<=>(const SessionId&) const = default;
  std::string hex() const { return to_hex(bytes); }
  static Result<SessionId> parse(std::string_view hex);
  static Result<SessionId> fresh();  ///< random
};

enum class FileKind : uint32_t { kPack = 0, kMeta = 1 };

struct FileId {
  SessionId session;
  uint32_t number = 0;

  auto operator<=>(const FileId&) const = default;
  std::string name() const { return session.hex() + "-" + std::to_string(number); }
  static Result<FileId> parse(std::string_view name);
};

/// "packs/<aa>/<name>" or "meta/<aa>/<name>", relative to the store.
std::string relative_path(FileKind kind, const FileId& file);

/// One metadata object: where it lies and what its bytes digest to.
struct Reference {
  FileId file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  Digest digest;

  auto operator<=>(const Reference&) const = default;
};

inline constexpr size_t kFileIdBytes = 24;
inline constexpr size_t kReferenceBytes = 72;

void append_file_id(Bytes& bytes, const FileId& file);
FileId take_file_id(WireReader& reader);
void append_reference(Bytes& bytes, const Reference& reference);
Reference take_reference(WireReader& reader);

}  // namespace cairn

template <>
struct std::hash<cairn::FileId> {
  size_t operator()(const cairn::FileId& file) const noexcept {
    return cairn::load_le<size_t>(file.session.bytes) + file.number;
  }
};
