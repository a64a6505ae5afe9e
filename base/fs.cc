#include "base/fs.h"

#include <fmt/format.h>

namespace cairn {

std::string parent_folder(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? end : path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  const size_t last = path.find_last_not_of('/', slash);
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

std::string join_path(const std::string& folder, const std::string& name) {
  return folder.ends_with('/') ? folder + name : folder + "/" + name;
}

bool file_exists(Fs& fs, const std::string& path) { return fs.info(path).has_value(); }

Result<Bytes> Fs::read_whole(const std::string& path, uint64_t bytes_max) {
  CAIRN_TRY(const auto file, open(path, OpenMode::kRead));
  CAIRN_TRY(const uint64_t bytes, file->size());
  if (bytes > bytes_max) {
    return fail(Code::kCorrupt, fmt::format("'{}' has {} bytes, more than the {} it may have", path,
                                            bytes, bytes_max));
  }
  Bytes content(bytes);
  CAIRN_TRY(const size_t count, file->read_at(0, content));
  content.resize(count);
  return content;
}

Status create_and_sync(Fs& fs, const std::string& path, ByteSpan data) {
  CAIRN_TRY(const auto file, fs.open(path, OpenMode::kCreate));
  if (!data.empty()) CAIRN_CHECK(file->write_at(0, data));
  return file->sync();
}

Status write_new_file(Fs& fs, const std::string& path, ByteSpan data) {
  CAIRN_CHECK(create_and_sync(fs, path, data));
  return fs.sync_folder(parent_folder(path));
}

Status sync_in_folder(Fs& fs, const std::string& path) {
  CAIRN_CHECK(fs.sync_folder(parent_folder(path)));
  return fs.sync_folder(parent_folder(parent_folder(path)));
}

Status replace_file(Fs& fs, const std::string& path, const std::string& temporary, ByteSpan data) {
  CAIRN_CHECK(create_and_sync(fs, temporary, data));
  CAIRN_CHECK(fs.rename(temporary, path));
  return fs.sync_folder(parent_folder(path));
}

}  // namespace cairn
