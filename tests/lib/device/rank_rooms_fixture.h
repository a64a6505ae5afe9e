// A tag of four tensors, and ranks that load it into memory of their devices.
#pragma once

#include <map>

#include "gpu/simt/faults.h"
#include "lib/load_together.h"
#include "tests/lib/device/device_fixture.h"
#include "tests/lib/rank_threads.h"

namespace cairn {

class RankRoomsFixture : public DeviceFixture {
 protected:
  static constexpr const char* kNames[] = {"v", "w", "x", "y"};
  static inline const Shape kShape{300, 500};
  static constexpr uint64_t kTensorBytes = 300 * 500 * 2;
  std::map<std::string, Bytes> bytes_;  // of each

  void SetUp() override {
    DeviceFixture::SetUp();
    SaveRequest saving;
    saving.tag = "t";
    saving.base = "none";
    for (const char* name : kNames) {
      bytes_[name] = noise(kTensorBytes, static_cast<uint32_t>(name[0]));
      const auto whole = cut(name, kShape, bytes_[name], 0, 1, false);
      saving.tensors.insert(saving.tensors.end(), whole.begin(), whole.end());
    }
    gpu::must(save(*store_, saving));
  }

  /// Memory for one tensor of a rank: of a device, or the host's.
  struct Room {
    Bytes host;
    std::unique_ptr<gpu::OnDevice> device = nullptr;
    std::optional<uint32_t> place = {};
    Bytes content() const {
      if (!device) return host;
      const auto scope = gpu::must(gpu::DeviceScope::enter(*place));
      return device->content();
    }
  };
  struct Rank {
    std::map<std::string, Room> rooms;
    LoadRequest request;
    LoadResult result;
  };

  static void want(Rank& rank, const std::string& name, std::optional<uint32_t> device,
                   Dtype dtype = Dtype::kBF16, std::vector<int64_t> strides = {}) {
    Room& room = rank.rooms[name];
    room.host = Bytes(300 * 500 * bits_per_element(dtype) / 8, 0xEE);
    TensorTarget target{name, dtype, kShape, whole_box(kShape), room.host.data(), strides};
    room.place = device;
    if (device) {
      const auto scope = gpu::must(gpu::DeviceScope::enter(*device));
      room.device = std::make_unique<gpu::OnDevice>(ByteSpan(room.host));
      target.data = room.device->data();
      target.device = *device;
    }
    rank.request.targets.push_back(std::move(target));
  }

  /// All tensors, on the rank's device.
  static std::vector<Rank> ranks_that_want_all(unsigned count, unsigned devices) {
    std::vector<Rank> ranks(count);
    for (unsigned rank = 0; rank < count; ++rank) {
      for (const char* name : kNames) want(ranks[rank], name, rank % devices);
    }
    return ranks;
  }

  static uint64_t read_by(const std::vector<Rank>& ranks) {
    uint64_t read = 0;
    for (const Rank& rank : ranks) read += rank.result.read_bytes;
    return read;
  }
};

}  // namespace cairn
