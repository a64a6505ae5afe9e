#include "base/random.h"

#include <sys/random.h>

#include <cerrno>

namespace cairn {

Status random_bytes(MutableBytes out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = getrandom(out.data() + done, out.size() - done, 0);
    if (count < 0 && errno != EINTR) return fail_errno(errno, "cannot draw random bytes");
    if (count > 0) done += static_cast<size_t>(count);
  }
  return {};
}

}  // namespace cairn
