// Rounds of a save: whatever room a lane has for digests, all chunks are saved.
#include "gpu/simt/run_grid.h"
#include "tests/lib/device/device_fixture.h"

namespace cairn {
namespace {

class DeviceRoundsTest : public DeviceFixture {
 protected:
  /// The tensor lies transposed, so that its chunks are put together before they are digested.
  static SaveRequest transposed(const Shape& shape, const Bytes& data) {
    SaveRequest request;
    request.tag = "t";
    request.tensors.push_back({"w", Dtype::kBF16, shape, whole_box(shape), data.data(), {}});
    request.tensors[0].strides_bytes = {2, static_cast<int64_t>(2 * shape[0])};
    return request;
  }
};

TEST_F(DeviceRoundsTest, WhatHasNoRoomInOneRoundIsSavedInSeveral) {
  const Shape shape = {1024, 1024};
  const Bytes data = noise(1024 * 1024 * 2, 1);
  SaveRequest request = transposed(shape, data);
  const auto saved = save_from_device(request);
  ASSERT_TRUE(saved) << saved.error().message;
  Bytes expected(data.size());
  for (size_t i = 0; i < 1024; ++i) {
    for (size_t k = 0; k < 1024; ++k) {
      std::memcpy(&expected[2 * (i * 1024 + k)], &data[2 * (k * 1024 + i)], 2);
    }
  }
  EXPECT_EQ(load_whole("t", "w", shape), expected);
}

}  // namespace
}  // namespace cairn
