// The flag by which a caller asks work to end: set by another thread or a signal's handler, looked
// at between steps.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cairn {

/// `stop` may be null: nobody will ask.
inline bool is_stopped(const std::atomic<bool>* stop) { return stop != nullptr && stop->load(); }

/// Errors: kCancelled once the flag is set, telling that `what` ("the save") was stopped.
inline Status unless_stopped(const std::atomic<bool>* stop, std::string_view what) {
  if (!is_stopped(stop)) return {};
  return fail(Code::kCancelled, std::string(what) + " was stopped");
}

}  // namespace cairn
