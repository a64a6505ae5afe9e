#include "gpu/enqueue.h"

#include <fmt/format.h>

#include <algorithm>

namespace cairn::gpu {

static thread_local unsigned loadings = 0;

KernelLoading::KernelLoading() { ++loadings; }
KernelLoading::~KernelLoading() { --loadings; }
bool KernelLoading::is_on() { return loadings > 0; }

Status check_room(const char* what, DeviceSpan span, uint64_t bytes) {
  if (span.bytes < bytes) {
    return fail(Code::kUsage, fmt::format("{}: {} bytes of device memory are needed, {} were given",
                                          what, bytes, span.bytes));
  }
  if (reinterpret_cast<uintptr_t>(span.data) % 16 != 0) {
    return fail(Code::kUsage, fmt::format("{}: its device memory begins at {}, which is no "
                                          "multiple of 16",
                                          what, fmt::ptr(span.data)));
  }
  return {};
}

Status check_multiple(const char* what, uint64_t number, uint64_t unit) {
  if (number % unit == 0) return {};
  return fail(Code::kUsage, fmt::format("{}: {} is no multiple of {}", what, number, unit));
}

Shape shape_of_blocks(uint64_t blocks, unsigned threads, Share share) {
  static constexpr uint64_t kBlocksMost = (uint64_t{1} << 31) - 1;
  const uint64_t most = share.multiprocessors == 0 ? kBlocksMost : share.multiprocessors;
  return {static_cast<unsigned>(std::min({blocks, most, kBlocksMost})), threads};
}

Shape shape_for(uint64_t items, Share share) {
  const unsigned threads = share.multiprocessors == 0 ? 256 : 1024;
  return shape_of_blocks(ceil_div(items, threads), threads, share);
}

}  // namespace cairn::gpu
