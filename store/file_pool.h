// Open packs of one store, kept open and shared by readers. A file that gc deletes stays readable
// for whoever has it open.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/fs.h"
#include "store/file_id.h"

namespace cairn {

/// Threads: any.
class FilePool {
 public:
  FilePool(Fs& fs, std::string store_path, OpenMode mode, size_t open_max = 128)
      : fs_(fs), store_path_(std::move(store_path)), mode_(mode), open_max_(open_max) {}

  /// Errors: kNotFound when the file is gone.
  Result<std::shared_ptr<File>> open(FileKind kind, const FileId& file);
  /// The next open() opens it anew.
  void drop(FileKind kind, const FileId& file);
  bool is_remote() const { return fs_.read_habits().is_remote; }

 private:
  struct Key {
    FileKind kind;
    FileId file;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const noexcept {
      return std::hash<FileId>()(key.file) * 2 + static_cast<size_t>(key.kind);
    }
  };
  using Recent = std::list<std::pair<Key, std::shared_ptr<File>>>;

  Fs& fs_;
  const std::string store_path_;
  const OpenMode mode_;
  const size_t open_max_;
  std::mutex mutex_;
  Recent recent_;  // most recently used first
  std::unordered_map<Key, Recent::iterator, KeyHash> by_key_;
};

}  // namespace cairn
