// Loads into a device's memory of tags that were saved from the host's, and packs that are damaged.
#pragma once

#include <filesystem>
#include <fstream>

#include "tests/lib/device/device_fixture.h"

namespace cairn {

class StagedLoadFixture : public DeviceFixture {
 protected:
  Result<LoadResult> load_into(const std::string& tag, std::vector<TensorTarget> targets,
                               bool cast = true) {
    LoadRequest request;
    request.cast = cast;
    request.targets = std::move(targets);
    request.devices.staging = staging_.get();
    CAIRN_TRY(const auto checkpoint, open_tag(*store_, tag));
    return load(*checkpoint, request);
  }

  static TensorTarget target_of(const std::string& name, Dtype dtype, const Shape& shape,
                                uint8_t* data) {
    return {name, dtype, shape, whole_box(shape), data, {}, 0};
  }

  static void expect_on_device(const uint8_t* data, const Bytes& expected) {
    Bytes come(expected.size());
    gpu::must(gpu::copy_down({}, come, data));
    gpu::must(gpu::synchronize({}));
    EXPECT_TRUE(come == expected);
  }

  std::filesystem::path newest_pack() const {
    std::filesystem::path newest;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path() + "/packs")) {
      if (!entry.is_regular_file()) continue;
      if (newest.empty() || last_write_time(entry.path()) >= last_write_time(newest)) {
        newest = entry.path();
      }
    }
    return newest;
  }

  /// Of the newest pack; twice: as it was.
  void flip_byte(uint64_t at) const {
    std::fstream file(newest_pack(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(file.get() ^ 4);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  }
};

}  // namespace cairn
