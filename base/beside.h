// Work beside the caller.
#pragma once

#include <future>
#include <system_error>
#include <utility>

#include "base/stop_scope.h"

namespace cairn {

/// In a thread of its own; where there is none to be had, in the one that waits for it.
template <class Work>
auto run_beside(Work work) -> std::future<decltype(work())> {
  auto scoped = [work = std::move(work), stop = StopScope::current()]() mutable {
    const StopScope scope(stop);
    return work();
  };
  try {
    return std::async(std::launch::async, scoped);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, scoped);
  }
}

}  // namespace cairn
