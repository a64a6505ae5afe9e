// Keeps the memory of an import small: what was read of its files is given back while it runs.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "lib/formats/import_files.h"

namespace cairn {

/// From here on until it ends. `files` must outlive it, and get no more files.
class ImportMemory {
 public:
  explicit ImportMemory(const ImportFiles& files);
  ~ImportMemory();
  ImportMemory(const ImportMemory&) = delete;
  ImportMemory& operator=(const ImportMemory&) = delete;

 private:
  void run();

  const ImportFiles& files_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ended_ = false;
  std::thread thread_;
};

}  // namespace cairn
