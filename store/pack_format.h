// Bytes of packs: header, table and trailer of data packs and metadata packs (docs/FORMAT.md,
// section 4). Pure. Tables and trailers serve checks and salvage; reading a tag needs neither.
#pragma once

#include <deque>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/digest.h"
#include "base/error.h"
#include "store/file_id.h"

namespace cairn {

inline constexpr uint64_t kPackHeaderBytes = 32;
inline constexpr uint64_t kPackTrailerBytes = 64;
inline constexpr uint64_t kPackRecordBytes = 56;  ///< of both tables
/// Copies of this size and more that are whole blocks begin at kDirectAlignment, so that loads can
/// read them directly; others would waste half a block each.
inline constexpr uint64_t kAlignedCopyBytesMin = 64 * kKiB;

uint64_t copy_alignment(uint64_t stored_bytes);
/// Of a copy in its pack's table, beside its row.
inline uint64_t aux_bytes_of(size_t bases, ByteSpan parameters) {
  return bases * sizeof(Digest) + parameters.size();
}

/// Where copies come to lie in a data pack, one after the other.
class PackLayout {
 public:
  /// The offset of a copy of so many bytes. `aux_bytes`: of its bases and parameters in the table.
  uint64_t add(uint64_t stored_bytes, uint64_t aux_bytes);
  bool is_empty() const { return count_ == 0; }
  /// End of the last copy.
  uint64_t end() const { return end_; }
  /// Of the whole file, table and trailer included; and with one more copy.
  uint64_t file_bytes() const;
  uint64_t file_bytes_with(uint64_t stored_bytes, uint64_t aux_bytes) const;

 private:
  uint64_t end_ = kPackHeaderBytes;
  uint64_t count_ = 0;
  uint64_t aux_bytes_ = 0;
};

/// A row of a data pack's table.
struct PackedCopy {
  Digest digest;  ///< of the decoded bytes
  uint64_t offset = 0;
  uint32_t stored_bytes = 0;
  uint32_t decoded_bytes = 0;
  Encoding encoding = Encoding::kRaw;
  std::vector<Digest> bases;
  Bytes parameters;
};

enum class ObjectKind : uint32_t {
  kManifest = 1,
  kSchema = 2,
  kPage = 3,
  kLocator = 4,
  kLocatorTable = 5,
  kLayout = 6,
  kTagEntry = 7,
  kTagTable = 8,
  kPart = 9,
};

/// A row of a metadata pack's table.
struct PackedObject {
  ObjectKind kind = ObjectKind::kManifest;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  Digest digest;
};

Bytes encode_pack_header(FileKind kind, const FileId& file);
/// Table, auxiliary bytes and trailer. REQUIRES: table_offset is a multiple of 8.
Bytes encode_pack_footer(const FileId& file, const std::deque<PackedCopy>& copies,
                         uint64_t table_offset);
Bytes encode_meta_footer(const FileId& file, const std::vector<PackedObject>& objects,
                         uint64_t table_offset);

/// Where the table lies, from the trailer.
struct Footer {
  uint64_t count = 0;
  uint64_t table_offset = 0;
  uint64_t aux_bytes = 0;
  Digest digest;  ///< of header, table and auxiliary bytes
};
/// Errors: kCorrupt, also when the numbers do not add up to `file_bytes`.
Result<Footer> decode_pack_trailer(ByteSpan trailer, uint64_t file_bytes, std::string_view path);
/// `table` = table and auxiliary bytes. Errors: kCorrupt when header or table are damaged, or the
/// header is of another file.
Result<std::vector<PackedCopy>> decode_pack_table(const FileId& file, const Footer& footer,
                                                  ByteSpan header, ByteSpan table,
                                                  std::string_view path);
Result<std::vector<PackedObject>> decode_meta_table(const FileId& file, const Footer& footer,
                                                    ByteSpan header, ByteSpan table,
                                                    std::string_view path);

}  // namespace cairn
