#include "store/pack_table.h"

#include <fmt/format.h>

namespace cairn {

namespace {

struct RawTable {
  Footer footer;
  Bytes header, table;
};

Status read_whole(File& file, uint64_t offset, Bytes& out) {
  CAIRN_TRY(const size_t count, file.read_at(offset, out));
  if (count == out.size()) return {};
  return fail(Code::kCorrupt, fmt::format("'{}' became shorter while it was read", file.path()));
}

Result<RawTable> read_table(Fs& fs, const std::string& store_path, const std::string& path) {
  CAIRN_TRY(const auto file, fs.open(join_path(store_path, path), OpenMode::kRead));
  CAIRN_TRY(const uint64_t bytes, file->size());
  if (bytes < kPackHeaderBytes + kPackTrailerBytes) {
    return fail(Code::kCorrupt, fmt::format("'{}' is cut short: it has {} bytes", path, bytes));
  }
  Bytes trailer(kPackTrailerBytes);
  CAIRN_CHECK(read_whole(*file, bytes - trailer.size(), trailer));
  RawTable raw{{}, Bytes(kPackHeaderBytes), {}};
  CAIRN_TRY(raw.footer, decode_pack_trailer(trailer, bytes, path));
  raw.table.resize(bytes - trailer.size() - raw.footer.table_offset);
  CAIRN_CHECK(read_whole(*file, 0, raw.header));
  CAIRN_CHECK(read_whole(*file, raw.footer.table_offset, raw.table));
  return raw;
}

}  // namespace

Result<std::vector<PackedCopy>> list_copies(Fs& fs, const std::string& store_path,
                                            const FileId& file) {
  const std::string path = relative_path(FileKind::kPack, file);
  CAIRN_TRY(const RawTable raw, read_table(fs, store_path, path));
  return decode_pack_table(file, raw.footer, raw.header, raw.table, path);
}

Result<std::vector<PackedObject>> list_objects(Fs& fs, const std::string& store_path,
                                               const FileId& file) {
  const std::string path = relative_path(FileKind::kMeta, file);
  CAIRN_TRY(const RawTable raw, read_table(fs, store_path, path));
  return decode_meta_table(file, raw.footer, raw.header, raw.table, path);
}

}  // namespace cairn
