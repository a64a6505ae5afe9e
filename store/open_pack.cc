// Durability, in order: (1) the folder packs/<aa> exists; (2) the pack is created under its final
// name, which no one refers to yet; (3) copies, table and trailer are written; (4) the file is
// synced; (5) its folder is synced, and the one above: whoever made packs/<aa> may have died before
// he synced its name. Only then may a locator name the pack.
#include "store/open_pack.h"

namespace cairn {

Result<std::unique_ptr<OpenPack>> OpenPack::begin(Fs& fs, const std::string& store_path,
                                                  const FileId& file,
                                                  std::atomic<uint64_t>* backlog, WriteMode mode) {
  const std::string path = join_path(store_path, relative_path(FileKind::kPack, file));
  CAIRN_TRY(auto writer, make_in_folder(fs, path, [&] {
              return AppendWriter::create(fs, path, backlog, mode);
            }));
  CAIRN_CHECK(writer->append(encode_pack_header(FileKind::kPack, file)));
  return std::unique_ptr<OpenPack>(new OpenPack(fs, path, file, std::move(writer)));
}

Result<Copy> OpenPack::append(const NewCopy& copy) {
  CAIRN_CHECK(file_bytes_->pad_to(copy_alignment(copy.stored.size())));
  CAIRN_CHECK(file_bytes_->append(copy.stored));
  const uint64_t offset =
      layout_.add(copy.stored.size(), aux_bytes_of(copy.bases.size(), copy.parameters));
  const auto stored_bytes = static_cast<uint32_t>(copy.stored.size());
  copies_.push_back({copy.digest, offset, stored_bytes, copy.decoded_bytes, copy.encoding,
                     copy.bases, copy.parameters});
  return Copy{file_, offset, stored_bytes, copy.decoded_bytes, copy.encoding, {}, copy.parameters};
}

uint64_t OpenPack::sealed_bytes_with(const NewCopy& copy) const {
  return layout_.file_bytes_with(copy.stored.size(),
                                 aux_bytes_of(copy.bases.size(), copy.parameters));
}

Status OpenPack::seal() {
  CAIRN_CHECK(file_bytes_->pad_to(8));
  CAIRN_CHECK(file_bytes_->append(encode_pack_footer(file_, copies_, file_bytes_->position())));
  CAIRN_CHECK(file_bytes_->finish());
  return sync_in_folder(fs_, path_);
}

}  // namespace cairn
