#include "lib/new_file.h"

#include <fmt/format.h>

#include "store/file_id.h"

namespace cairn {

Result<NewFile> NewFile::create(Fs& fs, const std::string& path, bool force, Order order) {
  const auto standing = fs.info(path);
  if (standing && standing->is_folder) {
    return fail(Code::kExists, fmt::format("'{}' is a folder", path), "choose another path");
  }
  if (standing && !standing->is_file) {
    return fail(Code::kExists, fmt::format("'{}' is a device, a pipe or a socket", path),
                "choose another path");
  }
  if (standing && !force) {
    return fail(Code::kExists, fmt::format("'{}' exists already", path),
                "choose another path, or '--force'");
  }
  const std::string folder = parent_folder(path);
  const auto parent = fs.info(folder);
  if (!parent && parent.error().code == Code::kNotFound) {
    return fail(Code::kNotFound, fmt::format("the folder '{}' does not exist", folder),
                "make it first");
  }
  CAIRN_TRY(const SessionId unique, SessionId::fresh());
  NewFile file(fs, path, force, join_path(folder, "." + unique.hex() + ".part"));
  if (order == Order::kPlaced) {
    CAIRN_TRY(file.placed_, fs.open(file.temporary_, OpenMode::kCreate));
  } else {
    CAIRN_TRY(file.writer_, AppendWriter::create(fs, file.temporary_));
  }
  return file;
}

NewFile::~NewFile() {
  writer_.reset();
  placed_.reset();
  if (!temporary_.empty() && file_exists(fs_, temporary_)) {
    (void)fs_.remove(temporary_).has_value();
  }
}

Status NewFile::seal() {
  if (placed_ != nullptr) {
    CAIRN_CHECK(placed_->sync());
    placed_.reset();
  }
  if (writer_ == nullptr) return {};
  CAIRN_CHECK(writer_->finish());
  writer_.reset();
  return {};
}

Status NewFile::publish() {
  CAIRN_CHECK(seal());
  CAIRN_CHECK(replaces_ ? fs_.rename(temporary_, path_) : fs_.rename_new(temporary_, path_));
  temporary_.clear();
  return fs_.sync_folder(parent_folder(path_));
}

}  // namespace cairn
