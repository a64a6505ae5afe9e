#include "tests/bench/gpu/random_weights.h"

#include <algorithm>
#include <random>

#include "base/encodings/cast.h"

namespace cairn::gpu {

namespace {

constexpr uint64_t kStagedBytes = 64 * kMiB;

/// Draws from a sample of the distribution, which is many times as fast as from itself.
class Weights {
 public:
  Weights() {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02f);
    std::vector<float> drawn(kDrawn);
    for (float& each : drawn) each = normal(random);
    cast_items(Cast::kF32ToBf16, as_bytes(drawn.data(), kDrawn * sizeof(float)), sample_);
  }

  void fill(MutableBytes bytes) {
    for (size_t at = 0; at < bytes.size(); at += 8) {
      const uint64_t word = random_();
      uint64_t four = 0;
      for (unsigned i = 0; i < 64; i += 16) {
        four |= uint64_t{load_le<uint16_t>(sample_, 2 * (word >> i & (kDrawn - 1)))} << i;
      }
      store_le(bytes, at, four);
    }
  }

 private:
  static constexpr size_t kDrawn = size_t{1} << 16;
  Bytes sample_ = Bytes(2 * kDrawn);  // BF16
  std::mt19937_64 random_{2};
};

}  // namespace

Result<BenchData> random_weights(uint64_t bytes, size_t count) {
  BenchData data;
  data.buffer_bytes = bytes;
  Weights weights;
  Bytes staged(std::min(bytes, kStagedBytes));
  for (size_t i = 0; i < count; ++i) {
    CAIRN_TRY(DeviceMemory memory, DeviceMemory::allocate(bytes));
    for (uint64_t at = 0; at < bytes; at += staged.size()) {
      const auto part = MutableBytes(staged).first(std::min<uint64_t>(staged.size(), bytes - at));
      weights.fill(part);
      CAIRN_CHECK(copy_up({}, memory.data() + at, part));
    }
    data.buffers.push_back(std::move(memory));
  }
  CAIRN_CHECK(synchronize({}));
  return data;
}

}  // namespace cairn::gpu
