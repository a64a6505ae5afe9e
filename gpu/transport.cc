#include "gpu/transport.h"

#include <fmt/format.h>

namespace cairn::gpu {

Status Transport::check_gather(ByteSpan own, MutableBytes all) const {
  if (own.size() * size() == all.size()) return {};
  return fail(Code::kUsage, fmt::format("{} bytes of each of {} ranks for {} bytes of all",
                                        own.size(), size(), all.size()));
}

Status Transport::check_root(unsigned root) const {
  if (root < size()) return {};
  return fail(Code::kUsage, fmt::format("rank {} of {} has nothing", root, size()));
}

}  // namespace cairn::gpu
