#include "base/random.h"

#include <sys/random.h>

#include <array>
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

std::mt19937_64 seeded_random() {
  std::array<uint8_t, 8> seed{};
  (void)random_bytes(seed).has_value();
  return std::mt19937_64(load_le<uint64_t>(seed, 0));
}

}  // namespace cairn
