#include "store/file_pool.h"

namespace cairn {

Result<std::shared_ptr<File>> FilePool::open(FileKind kind, const FileId& file) {
  const Key key{kind, file};
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    return found->second->second;
  }
  CAIRN_TRY(std::shared_ptr<File> opened,
            fs_.open(join_path(store_path_, relative_path(kind, file)), mode_));
  recent_.emplace_front(key, opened);
  by_key_[key] = recent_.begin();
  if (recent_.size() > open_max_) {
    by_key_.erase(recent_.back().first);
    recent_.pop_back();
  }
  return opened;
}

void FilePool::drop(FileKind kind, const FileId& file) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find({kind, file});
  if (found == by_key_.end()) return;
  recent_.erase(found->second);
  by_key_.erase(found);
}

}  // namespace cairn
