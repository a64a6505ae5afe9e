// Work beside the caller.
#pragma once

#include <future>
#include <system_error>

namespace cairn {

/// In a thread of its own; where there is none to be had, in the one that waits for it.
template <class Work>
auto run_beside(Work work) -> std::future<decltype(work())> {
  try {
    return std::async(std::launch::async, work);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, work);
  }
}

}  // namespace cairn
