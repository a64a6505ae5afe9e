// A store directory: making one, opening one, its tags.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fs.h"
#include "store/config.h"
#include "store/file_pool.h"
#include "store/root.h"
#include "store/tag_book.h"

namespace cairn {

/// Threads: any; the members are set once by open().
class Store {
 public:
  /// Makes an empty store at `path`: a folder that does not exist or is empty. Checks first that
  /// locks, renames and syncs work there. Errors: kExists, kUsage, kFailed naming what does not
  /// hold; kNoStore where the bucket is missing.
  static Status init(Fs& fs, const std::string& path, const Config& config);
  /// Whether init() finds room there; changes nothing. Errors: kExists; kNoStore: no such bucket.
  static Status check_vacant(Fs& fs, const std::string& path);
  /// Errors: kNoStore, kCorrupt, kNewerFormat.
  static Result<std::unique_ptr<Store>> open(Fs& fs, const std::string& path);

  Fs& fs() const { return fs_; }
  const std::string& path() const { return path_; }
  const Config& config() const { return config_; }
  /// A data pack that is written there is closed before it is longer, unless by a single copy: in
  /// an object store packs are sent at once, so that what arrived is whole packs.
  uint64_t pack_bytes() const;
  /// Open metadata packs.
  FilePool& meta_files() const { return *meta_files_; }

  /// The tags, to be asked for few of them.
  Result<TagBook> read_book() const;
  /// What `ask` finds in the tags. A collector may remove a tag table that has a successor after
  /// the root was read: then `ask` is called once more, with the tags of then.
  template <class Ask>
  auto ask_tags(const Ask& ask) const -> decltype(ask(std::declval<TagBook&>())) {
    for (;;) {
      CAIRN_TRY(TagBook book, read_book());
      auto answer = ask(book);
      if (answer || !book.met_missing_table()) return answer;
      CAIRN_TRY(const TagBook now, read_book());
      if (now.commit() == book.commit()) return answer;
    }
  }
  /// All tags.
  Result<TagList> read_tags() const;
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
