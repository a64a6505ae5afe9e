// A store of small chunks in a temporary folder, and tensors to put into it.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "lib/cairn.hpp"
#include "store/checkpoint.h"
#include "tests/support/temp_folder.h"

namespace cairn {

class StoreFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    Config config;
    config.chunk_elements = 1024;
    ASSERT_TRUE(Store::init(posix_fs(), path(), config));
    store_ = *Store::open(posix_fs(), path());
  }

  std::string path() const { return folder_ / "store"; }

  static Bytes noise(uint64_t bytes, uint32_t seed) {
    std::mt19937 random(seed);
    Bytes data(bytes);
    for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
    return data;
  }

  /// Cuts a contiguous tensor into boxes along one axis, each in the whole tensor's memory.
  static std::vector<TensorSource> cut(const std::string& name, const Shape& shape,
                                       const Bytes& data, size_t axis, uint64_t parts,
                                       bool writers) {
    std::vector<TensorSource> sources;
    const auto strides = contiguous_strides(shape, 2);
    for (uint64_t part = 0; part < parts; ++part) {
      TensorSource source{name, Dtype::kBF16, shape, whole_box(shape), nullptr, strides, 0};
      source.box.offsets[axis] = shape[axis] * part / parts;
      source.box.lengths[axis] = shape[axis] * (part + 1) / parts - source.box.offsets[axis];
      source.data = data.data() + source.box.offsets[axis] * static_cast<uint64_t>(strides[axis]);
      source.writer = writers ? static_cast<uint32_t>(part) : 0;
      sources.push_back(source);
    }
    return sources;
  }

  Bytes load_whole(const std::string& tag, const std::string& name, const Shape& shape) {
    Bytes data(whole_box(shape).elements() * 2, 0xee);
    LoadRequest request;
    request.targets.push_back({name, Dtype::kBF16, shape, whole_box(shape), data.data(), {}});
    auto checkpoint = open_tag(*store_, tag);
    EXPECT_TRUE(checkpoint) << checkpoint.error().message;
    const auto loaded = load(**checkpoint, request);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return data;
  }

  /// From now on the store asks for what this version does not know.
  void ask_for(const Features& features) {
    Config config = store_->config();
    config.features = features;
    const std::string file = path() + "/config";
    ASSERT_TRUE(posix_fs().remove(file));
    ASSERT_TRUE(write_new_file(posix_fs(), file, as_bytes(encode_config(config))));
    store_ = *Store::open(posix_fs(), path());
  }

  /// As a collector does that takes all sessions for dead.
  void remove_leases() const {
    const auto leases = posix_fs().list(path() + "/sessions");
    ASSERT_TRUE(leases);
    for (const FolderEntry& lease : *leases) {
      EXPECT_TRUE(posix_fs().remove(path() + "/sessions/" + lease.name));
    }
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace cairn
