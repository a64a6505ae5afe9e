#include "base/pipeline.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/memory_guard.h"
#include "base/stop_scope.h"

namespace cairn {

unsigned default_threads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&allowed)));
}

static Status guarded(const std::function<Status(uint64_t)>& work, uint64_t index) {
  try {
    return guard_memory([&] { return work(index); });
  } catch (const std::exception& error) {
    return fail(Code::kBug, error.what());
  }
}

Status parallel_for(uint64_t count, unsigned threads,
                    const std::function<Status(uint64_t index)>& work) {
  if (threads == 0) threads = default_threads();
  std::atomic<uint64_t> next{0};
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  Status first;
  const auto run = [&] {
    while (!stopped) {
      const uint64_t index = next.fetch_add(1);
      if (index >= count) return;
      Status done = guarded(work, index);
      if (done) continue;
      const std::lock_guard lock(mutex);
      if (first) first = std::move(done);
      stopped = true;
    }
  };
  const auto help = [&run, stop = StopScope::current()] {
    const StopScope scope(stop);
    run();
  };
  std::vector<std::jthread> helpers;
  try {
    while (helpers.size() + 1 < std::min<uint64_t>(threads, count)) helpers.emplace_back(help);
  } catch (const std::exception&) {
    // No more threads or memory for them: those there are do the work.
  }
  run();
  helpers.clear();
  return first;
}

}  // namespace cairn
