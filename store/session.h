// A session: one save in progress, with a lease that tells collectors which files it counts on
// (docs/PROTOCOL.md, docs/FORMAT.md section 10).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fs.h"
#include "store/file_id.h"
#include "store/root_format.h"

namespace cairn {

/// What a save counts on from the tag it compares with.
struct LeasedBase {
  std::string tag;
  Reference manifest, schema, table;
  std::optional<Reference> layout;
  std::vector<FileId> packs;
};

/// The lease is durable when begin() returns, and removed by end() or by the destructor; a process
/// that is killed leaves it behind for gc. Threads: one at a time.
class Session {
 public:
  static Result<std::unique_ptr<Session>> begin(Fs& fs, const std::string& store_path,
                                                const std::string& tag,
                                                const std::optional<LeasedBase>& base);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionId& id() const { return id_; }
  /// Gives the lease back.
  Status end();
  /// Removes the files of this session: of a save that failed before its commit.
  void remove_files(uint32_t packs, uint32_t metas);

 private:
  Session(Fs& fs, std::string store_path, const SessionId& id)
      : fs_(fs), store_path_(std::move(store_path)), id_(id) {}

  std::string lease_path() const;

  Fs& fs_;
  const std::string store_path_;
  const SessionId id_;
  bool leased_ = false;
  std::unique_ptr<FileLock> alive_;
};

}  // namespace cairn
