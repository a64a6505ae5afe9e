// A session: one save in progress, with a lease that tells collectors which files it counts on
// (docs/PROTOCOL.md, docs/FORMAT.md section 10).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fs.h"
#include "store/file_id.h"
#include "store/lease.h"

namespace cairn {

/// Collectors on other hosts tell by a lease's modification time whether its session still lives.
inline constexpr std::chrono::seconds kHeartbeat{30};
/// A lease that was not renewed for so long, by the file system's own clock, is given up on.
inline constexpr std::chrono::seconds kSilenceMax{600};

std::string lease_path(const std::string& store_path, const SessionId& session);

/// The ending of a lease's name until the lease is whole and its process's mark is on it.
inline constexpr std::string_view kUnnamedLease = ".new";

/// The lease is durable when begin() returns, renewed by a thread of its own every kHeartbeat, and
/// removed by end() or by the destructor; a process that is killed leaves it behind for gc.
/// Threads: one at a time.
class Session {
 public:
  static Result<std::unique_ptr<Session>> begin(Fs& fs, const std::string& store_path,
                                                const std::string& tag,
                                                const std::optional<LeasedBase>& base,
                                                LeaseKind kind = LeaseKind::kSave);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionId& id() const { return id_; }
  /// Gives the lease back.
  Status end();
  /// Removes the files of this session: of a save that failed before its commit.
  void remove_files(uint32_t packs, uint32_t metas);

 private:
  class Heartbeat;
  Session(Fs& fs, std::string store_path, const SessionId& id);

  std::string lease_path() const { return cairn::lease_path(store_path_, id_); }
  Status publish(const std::string& lease);

  Fs& fs_;
  const std::string store_path_;
  const SessionId id_;
  bool leased_ = false;
  std::unique_ptr<FileLock> alive_;
  std::unique_ptr<Heartbeat> heartbeat_;
};

}  // namespace cairn
