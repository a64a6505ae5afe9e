// A lease by name alone, for tests that commit as a session which they never began.
#pragma once

#include <string>

#include "base/fs.h"
#include "store/session.h"

namespace cairn {

class BareLease {
 public:
  BareLease(const std::string& store_path, const SessionId& session)
      : path_(lease_path(store_path, session)) {
    if (!file_exists(posix_fs(), path_)) (void)write_new_file(posix_fs(), path_, {}).has_value();
    auto alive = posix_fs().mark_alive(path_);
    if (alive) alive_ = *std::move(alive);
  }
  ~BareLease() {
    if (file_exists(posix_fs(), path_)) (void)posix_fs().remove(path_).has_value();
  }
  BareLease(const BareLease&) = delete;
  BareLease& operator=(const BareLease&) = delete;

 private:
  const std::string path_;
  std::unique_ptr<FileLock> alive_;
};

}  // namespace cairn
