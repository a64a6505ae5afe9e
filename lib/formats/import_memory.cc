#include "lib/formats/import_memory.h"

#include <chrono>

#include "base/memory_guard.h"

namespace cairn {

/// At 2 GB/s some 60 MB come between two.
static constexpr std::chrono::milliseconds kPause{30};

ImportMemory::ImportMemory(const ImportFiles& files) : files_(files) {
  // Without a thread for it the import takes more memory, and is right all the same.
  (void)guard_memory([&]() -> Status {
    thread_ = std::thread([this] { run(); });
    return {};
  }).has_value();
}

ImportMemory::~ImportMemory() {
  {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ImportMemory::run() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kPause, [&] { return is_ended_; })) {
    for (const MappedFile& file : files_.mapped) file.release();
  }
}

}  // namespace cairn
