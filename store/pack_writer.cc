// Durability, in order: (1) the folder packs/<aa> exists and its name is durable; (2) the pack is
// created under its final name, which no one refers to yet; (3) copies, table and trailer are
// written; (4) the file is synced; (5) its folder is synced. Only then may a locator name it.
#include "store/pack_writer.h"

namespace cairn {

Status PackWriter::begin_pack() {
  const FileId file{session_, packs_begun_};
  const std::string path = join_path(store_path_, relative_path(FileKind::kPack, file));
  CAIRN_CHECK(fs_.make_folders(parent_folder(path)));
  CAIRN_TRY(open_, AppendWriter::create(fs_, path));
  ++packs_begun_;
  return open_->append(encode_pack_header(FileKind::kPack, file));
}

Status PackWriter::seal_pack() {
  if (open_ == nullptr) return {};
  const FileId file{session_, packs_begun_ - 1};
  CAIRN_CHECK(open_->pad_to(8));
  CAIRN_CHECK(open_->append(encode_pack_footer(file, copies_, open_->position())));
  sealed_bytes_ += open_->position();
  CAIRN_CHECK(open_->finish());
  open_.reset();
  copies_.clear();
  const std::string path = join_path(store_path_, relative_path(FileKind::kPack, file));
  return fs_.sync_folder(parent_folder(path));
}

Result<Copy> PackWriter::append_locked(const NewCopy& copy) {
  if (open_ != nullptr && open_->position() + copy.stored.size() > pack_bytes_ &&
      !copies_.empty()) {
    CAIRN_CHECK(seal_pack());
  }
  if (open_ == nullptr) CAIRN_CHECK(begin_pack());
  CAIRN_CHECK(open_->pad_to(copy_alignment(copy.stored.size())));
  const uint64_t offset = open_->position();
  CAIRN_CHECK(open_->append(copy.stored));
  const auto stored_bytes = static_cast<uint32_t>(copy.stored.size());
  copies_.push_back({copy.digest, offset, stored_bytes, copy.decoded_bytes, copy.encoding, {}, {}});
  return Copy{{session_, packs_begun_ - 1},
              offset,
              stored_bytes,
              copy.decoded_bytes,
              copy.encoding,
              {},
              {}};
}

Result<Copy> PackWriter::append(const NewCopy& copy) {
  const std::lock_guard lock(mutex_);
  CAIRN_CHECK(state_);
  auto appended = append_locked(copy);
  if (!appended) state_ = tl::unexpected(appended.error());
  return appended;
}

Status PackWriter::finish() {
  const std::lock_guard lock(mutex_);
  CAIRN_CHECK(state_);
  state_ = seal_pack();
  return state_;
}

uint64_t PackWriter::stored_bytes() const {
  const std::lock_guard lock(mutex_);
  return sealed_bytes_ + (open_ == nullptr ? 0 : open_->position());
}

uint32_t PackWriter::packs_begun() const {
  const std::lock_guard lock(mutex_);
  return packs_begun_;
}

}  // namespace cairn
