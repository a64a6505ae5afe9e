// In order: (1) the name, by which of several who adopt one has it, and no collector that has seen
// the old one finds it; (2) header, then table and trailer behind the last copy; (3) file and
// folders are synced. Killed in between it is a leftover of the new session, of whose copies its
// journal tells (store/arrivals.h).
#include "store/adopt_pack.h"

namespace cairn {

Result<uint64_t> adopt_pack(const Store& store, const FileId& left, const FileId& file,
                            const std::deque<PackedCopy>& copies) {
  Fs& fs = store.fs();
  const std::string from = join_path(store.path(), relative_path(FileKind::kPack, left));
  const std::string path = join_path(store.path(), relative_path(FileKind::kPack, file));
  CAIRN_CHECK(make_in_folder(fs, path, [&] { return fs.rename_new(from, path); }));
  const PackedCopy& last = copies.back();
  const uint64_t table_offset = round_up(last.offset + last.stored_bytes, 8);
  const Bytes footer = encode_pack_footer(file, copies, table_offset);
  CAIRN_TRY(const auto open, fs.open(path, OpenMode::kUpdate));
  CAIRN_CHECK(open->truncate(last.offset + last.stored_bytes));
  CAIRN_CHECK(open->write_at(0, encode_pack_header(FileKind::kPack, file)));
  CAIRN_CHECK(open->write_at(table_offset, footer));
  CAIRN_CHECK(open->sync());
  CAIRN_CHECK(sync_in_folder(fs, path));
  return table_offset + footer.size();
}

}  // namespace cairn
