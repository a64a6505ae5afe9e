#include "lib/formats/zip_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/utf8.h"
#include "lib/formats/zip_format.h"

namespace cairn {

namespace {

class ZipReader {
 public:
  ZipReader(ByteSpan archive, const std::string& path) : archive_(archive), path_(path) {}

  Result<std::vector<ZipEntry>> run() {
    CAIRN_TRY(const Directory directory, find_directory());
    std::vector<ZipEntry> entries;
    uint64_t at = directory.offset;
    for (uint64_t i = 0; i < directory.entries; ++i) {
      CAIRN_TRY(ZipEntry entry, read_entry(at));
      entries.push_back(std::move(entry));
    }
    return entries;
  }

 private:
  struct Directory {
    uint64_t entries = 0, offset = 0;
  };

  tl::unexpected<Error> malformed(std::string_view why) const {
    return fail(Code::kUsage, fmt::format("'{}' is no whole zip archive: {}", path_, why),
                "it may have been cut off while it was written or copied");
  }

  bool holds(uint64_t offset, uint64_t bytes) const {
    return offset <= archive_.size() && bytes <= archive_.size() - offset;
  }

  bool has_signature(uint64_t offset, uint32_t signature, uint64_t bytes) const {
    return holds(offset, bytes) && load_le<uint32_t>(archive_, offset) == signature;
  }

  /// At the end, but for a comment.
  std::optional<uint64_t> find_end() const {
    if (archive_.size() < zip::kEndBytes) return std::nullopt;
    const uint64_t last = archive_.size() - zip::kEndBytes;
    for (uint64_t back = 0; back <= std::min<uint64_t>(last, UINT16_MAX); ++back) {
      if (load_le<uint32_t>(archive_, last - back) == zip::kEnd) return last - back;
    }
    return std::nullopt;
  }

  Result<Directory> find_directory() const {
    const auto end = find_end();
    if (!end) return malformed("its directory is missing");
    Directory found{load_le<uint16_t>(archive_, *end + 10), load_le<uint32_t>(archive_, *end + 16)};
    if (found.entries != UINT16_MAX && found.offset != UINT32_MAX) return found;
    const bool has_wide_end =
        *end >= zip::kLocator64Bytes &&
        has_signature(*end - zip::kLocator64Bytes, zip::kLocator64, zip::kLocator64Bytes);
    if (!has_wide_end) return found;
    const auto wide = load_le<uint64_t>(archive_, *end - zip::kLocator64Bytes + 8);
    if (!has_signature(wide, zip::kEnd64, zip::kEnd64Bytes)) {
      return malformed("its directory is not where it says");
    }
    return Directory{load_le<uint64_t>(archive_, wide + 32),
                     load_le<uint64_t>(archive_, wide + 48)};
  }

  /// Those of 64 bits follow in an extra field, in this order, as far as those of 32 are full.
  struct Wide {
    uint64_t bytes, stored_bytes, offset;
  };
  static bool widen(ByteSpan extra, Wide& wide) {
    while (extra.size() >= 4) {
      const auto kind = load_le<uint16_t>(extra);
      const size_t bytes = load_le<uint16_t>(extra, 2);
      if (extra.size() - 4 < bytes) return false;
      ByteSpan field = extra.subspan(4, bytes);
      extra = extra.subspan(4 + bytes);
      if (kind != zip::kExtra64) continue;
      for (uint64_t* each : {&wide.bytes, &wide.stored_bytes, &wide.offset}) {
        if (*each != UINT32_MAX) continue;
        if (field.size() < 8) return false;
        *each = load_le<uint64_t>(field);
        field = field.subspan(8);
      }
    }
    return true;
  }

  Result<ZipEntry> read_entry(uint64_t& at) const {
    if (!has_signature(at, zip::kDirectory, zip::kDirectoryBytes)) {
      return malformed("its directory ends early");
    }
    const auto flags = load_le<uint16_t>(archive_, at + 8);
    const auto method = load_le<uint16_t>(archive_, at + 10);
    Wide wide{load_le<uint32_t>(archive_, at + 24), load_le<uint32_t>(archive_, at + 20),
              load_le<uint32_t>(archive_, at + 42)};
    const uint64_t name_bytes = load_le<uint16_t>(archive_, at + 28);
    const uint64_t extra_bytes = load_le<uint16_t>(archive_, at + 30);
    const uint64_t comment_bytes = load_le<uint16_t>(archive_, at + 32);
    const uint64_t name_at = at + zip::kDirectoryBytes;
    if (!holds(name_at, name_bytes + extra_bytes + comment_bytes)) {
      return malformed("its directory ends early");
    }
    const std::string name(as_text(archive_.subspan(name_at, name_bytes)));
    if (!widen(archive_.subspan(name_at + name_bytes, extra_bytes), wide)) {
      return malformed(fmt::format("the entry '{}' has a malformed extra field", shown(name)));
    }
    at = name_at + name_bytes + extra_bytes + comment_bytes;
    CAIRN_TRY(const ByteSpan bytes, data_of(name, wide.stored_bytes, wide.offset));
    return ZipEntry{name, bytes,
                    method == 0 && (flags & 1) == 0 && wide.bytes == wide.stored_bytes};
  }

  Result<ByteSpan> data_of(const std::string& name, uint64_t bytes, uint64_t offset) const {
    if (!has_signature(offset, zip::kLocal, zip::kLocalBytes)) {
      return malformed(fmt::format("the entry '{}' is not where its directory says", shown(name)));
    }
    const uint64_t data = offset + zip::kLocalBytes + load_le<uint16_t>(archive_, offset + 26) +
                          load_le<uint16_t>(archive_, offset + 28);
    if (!holds(data, bytes)) {
      return malformed(fmt::format("the entry '{}' ends after the file", shown(name)));
    }
    return archive_.subspan(data, bytes);
  }

  const ByteSpan archive_;
  const std::string& path_;
};

}  // namespace

Result<std::vector<ZipEntry>> read_zip(ByteSpan archive, const std::string& path) {
  return ZipReader(archive, path).run();
}

}  // namespace cairn
