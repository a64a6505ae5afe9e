// The edge of the library against memory that runs out: containers report it by an exception, as
// does a thread that cannot be had; it must not travel into a training process, nor out of a
// thread. Nor may what a library throws that nobody expected.
#pragma once

#include <new>
#include <stdexcept>
#include <system_error>

#include "base/error.h"

namespace cairn {

/// What `work` returns; kFailed when it ran out of memory; kBug for any other exception.
template <class Work>
auto guard_memory(const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return fail(Code::kFailed, "out of memory");
  } catch (const std::length_error&) {
    return fail(Code::kFailed, "out of memory: a size beyond what this machine can address");
  } catch (const std::system_error&) {
    return fail(Code::kFailed, "out of threads, or of memory for one");
  } catch (const std::exception& error) {
    return fail(Code::kBug, error.what());
  }
}

}  // namespace cairn
