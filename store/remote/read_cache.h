// Blocks of a remote store's files, kept in a local folder from one load to the next, of any
// process (docs/REMOTES.md, "A cache nearby").
//
//   CACHEDIR.TAG     says to backups that nothing here is worth keeping (bford.info/cachedir)
//   lock             held by who makes room
//   <file>.blocks    slots: first one that holds the file's size, then one for each block
//
// A slot is kSlotHeadBytes, with digest and length of what follows, and room for a block; what was
// never read is a hole. Nothing is synced and nobody locks: what does not match its digest is not
// there.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/buffer.h"
#include "base/fs.h"

namespace cairn::remote {

/// Holds for ever what it was told once, so it is for files that are never replaced. Whatever fails
/// in it only costs the time that it would have saved. Threads: any; processes: any number.
class ReadCache {
 public:
  static constexpr uint64_t kBlockBytes = 64 * kKiB;
  static constexpr uint64_t kSlotHeadBytes = 64;
  static constexpr uint64_t kSlotBytes = kSlotHeadBytes + kBlockBytes;

  /// Fills the memory from an offset of the file, as far as that goes.
  using Fetch = std::function<Result<size_t>(uint64_t offset, MutableBytes out)>;

  /// Makes the folder where it is missing, and room where there is more than `bytes_max`.
  /// Errors: kUsage for a folder that holds anything else; those of the file system.
  static Result<std::shared_ptr<ReadCache>> open(Fs& fs, const std::string& folder,
                                                 uint64_t bytes_max);

  /// As File::read_at of the file `name`, a plain one. What is not there is fetched, from the first
  /// such block to the last, and kept; what several want at once, once. Errors: those of `fetch`.
  Result<size_t> read(const std::string& name, uint64_t offset, MutableBytes out,
                      const Fetch& fetch);
  /// Gives up the blocks with these bytes, and the size.
  void distrust(const std::string& name, uint64_t offset, uint64_t bytes);

  /// The file's size; nullopt: unknown here.
  std::optional<uint64_t> size(const std::string& name);
  void keep_size(const std::string& name, uint64_t bytes);

 private:
  ReadCache(Fs& fs, std::string folder, uint64_t bytes_max)
      : fs_(fs), folder_(std::move(folder)), bytes_max_(bytes_max) {}

  struct Kept;
  struct FreeAgain;
  class Reading;

  std::shared_ptr<Kept> kept(const std::string& name);
  std::shared_ptr<File> open_file(const std::string& path);
  void count_written(uint64_t bytes);
  Status make_room();

  Fs& fs_;
  const std::string folder_;
  const uint64_t bytes_max_;
  std::atomic<uint64_t> written_bytes_{0};  // since room was made
  std::mutex mutex_;                        // of the files
  std::map<std::string, std::shared_ptr<Kept>> files_;
};

}  // namespace cairn::remote
