// The C ABI: what calls with tensors on devices work with.
#include <algorithm>

#include "lib/c_abi.h"

namespace cairn::c_abi {

/// Two and what digests take of the memory, with some to spare.
static constexpr uint64_t kSlabsOfDevice = 4;

static StagingOptions options_of(const cairn_staging_options& given) {
  StagingOptions options;
  if (given.pinned_bytes != 0) options.pinned_bytes = given.pinned_bytes;
  if (given.slab_bytes != 0) options.slab_bytes = given.slab_bytes;
  options.device_bytes = given.device_bytes != 0
                             ? given.device_bytes
                             : std::max(options.device_bytes, kSlabsOfDevice * options.slab_bytes);
  options.multiprocessors = given.multiprocessors;
  return options;
}

}  // namespace cairn::c_abi

extern "C" {

cairn_status cairn_devices(uint32_t* count) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(*count, cairn::count_devices());
    return {};
  });
}

cairn_status cairn_staging_new(const cairn_staging_options* options, cairn_staging** staging) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const cairn_staging_options given, cairn::c_abi::request_of(options));
    CAIRN_TRY(auto made, cairn::open_staging(cairn::c_abi::options_of(given)));
    *staging = new cairn_staging{std::move(made)};
    return {};
  });
}

cairn_status cairn_staging_lend(cairn_staging* staging, uint32_t device, void* memory,
                                size_t bytes) {
  return cairn::c_abi::run(
      [&]() -> cairn::Status { return staging->staging->lend(device, memory, bytes); });
}

void cairn_staging_free(cairn_staging* staging) { delete staging; }
}
