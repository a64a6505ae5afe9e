// A store directory: making one, opening one, its tags.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fs.h"
#include "store/config.h"
#include "store/file_pool.h"
#include "store/root.h"

namespace cairn {

/// The tags at one instant.
struct TagList {
  uint64_t commit = 0;         ///< of the root they were read from
  std::vector<TagEntry> tags;  ///< in name order

  const TagEntry* find(std::string_view name) const;
  /// The newest by commit order among names that begin with `prefix`, nullptr when there is none.
  const TagEntry* newest(std::string_view prefix) const;
};

/// Threads: any; the members are set once by open().
class Store {
 public:
  /// Makes an empty store at `path`: a folder that does not exist or is empty. Checks first that
  /// locks, renames and syncs work there. Errors: kExists, kUsage, kFailed naming what does not
  /// hold.
  static Status init(Fs& fs, const std::string& path, const Config& config);
  /// Errors: kNoStore, kCorrupt, kNewerFormat.
  static Result<std::unique_ptr<Store>> open(Fs& fs, const std::string& path);

  Fs& fs() const { return fs_; }
  const std::string& path() const { return path_; }
  const Config& config() const { return config_; }
  /// Open metadata packs.
  FilePool& meta_files() const { return *meta_files_; }

  Result<TagList> read_tags() const;
  /// The tags a root names, its tag tables included.
  Result<TagList> tags_of(const Root& root) const;
  /// A tag by name. Errors: kNotFound.
  Result<TagEntry> find_tag(std::string_view name) const;

 private:
  Store(Fs& fs, std::string path, Config config);

  Fs& fs_;
  const std::string path_;
  const Config config_;
  std::unique_ptr<FilePool> meta_files_;
};

}  // namespace cairn
