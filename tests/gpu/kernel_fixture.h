// What tests of kernels share: memory of the device with something in it, and the orders in which
// threads run.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "gpu/device.h"
#include "gpu/tile.h"
#ifdef CAIRN_SIMT
#include "gpu/simt/run_grid.h"
#endif

namespace cairn::gpu {

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  ADD_FAILURE() << result.error().message;
  std::abort();
}
inline void must(const Status& status) { ASSERT_TRUE(status) << status.error().message; }

/// Device memory of at least one byte, so that it has an address.
class OnDevice {
 public:
  explicit OnDevice(uint64_t bytes)
      : memory_(must(DeviceMemory::allocate(bytes + 1))), bytes_(bytes) {}
  explicit OnDevice(ByteSpan content) : OnDevice(content.size()) {
    must(copy_up({}, memory_.data(), content));
  }

  uint8_t* data() const { return memory_.data(); }
  DeviceSpan span() const { return {memory_.data(), bytes_}; }
  Bytes content() const {
    Bytes bytes(bytes_);
    must(copy_down({}, bytes, memory_.data()));
    must(synchronize({}));
    return bytes;
  }

 private:
  DeviceMemory memory_;
  uint64_t bytes_;
};

inline Bytes random_content(uint64_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes content(bytes);
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(content.data() + i, &word, std::min<uint64_t>(8, bytes - i));
  }
  return content;
}

/// Runs the test in several orders of threads: on the host as drawn by seeds. Once on a device, and
/// under ThreadSanitizer, which sees a race in any order.
inline void in_any_order(const std::function<void()>& test) {
#if defined(CAIRN_SIMT) && !defined(CAIRN_SIMT_TSAN)
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "order " << seed);
    simt::set_schedule(seed);
    test();
  }
#else
  test();
#endif
}

}  // namespace cairn::gpu
