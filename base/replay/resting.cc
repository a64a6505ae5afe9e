#include "base/replay/resting.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace cairn {

static constexpr size_t kLooks = 64, kFewest = 8;
static constexpr float kRounding = 0x1p-20f;  // as far apart two roundings of one quotient are

bool has_resting(ByteSpan now, ByteSpan before) {
  const size_t items = now.size() / sizeof(float);
  if (items < kLooks) return false;
  std::array<float, kLooks> quotients;
  size_t count = 0;
  for (size_t look = 0; look < kLooks; ++look) {
    const size_t at = items * look / kLooks * sizeof(float);
    const float quotient = load_le<float>(now, at) / load_le<float>(before, at);
    if (std::isfinite(quotient) && quotient > 0 && quotient < 1) quotients[count++] = quotient;
  }
  // What decayed did so by one factor; gradients make every quotient another one.
  std::sort(quotients.begin(), quotients.begin() + static_cast<ptrdiff_t>(count));
  for (size_t i = 0; i + kFewest <= count; ++i) {
    if (quotients[i + kFewest - 1] - quotients[i] < kRounding) return true;
  }
  return false;
}

}  // namespace cairn
