// The C ABI of copies that follow a state.
#include "lib/cairn.h"

#include <nlohmann/json.hpp>

#include "tests/gpu/kernel_fixture.h"

namespace cairn {
namespace {

class CMirror : public ::testing::Test {
 protected:
  static constexpr uint64_t kBytes = 600 * 500 * 4, kShape[] = {600, 500};

  void SetUp() override {
    cairn_staging_options options{};
    options.struct_bytes = sizeof(options);
    options.slab_bytes = 1 << 20;
    options.device_bytes = 16 << 20;
    options.pinned_bytes = 4 << 20;
    ASSERT_EQ(cairn_staging_new(&options, &staging_), CAIRN_OK) << cairn_error_message();
    ASSERT_EQ(cairn_mirror_new(&mirror_), CAIRN_OK);
    tensor_.name = "w";
    tensor_.dtype = "F32";
    tensor_.rank = 2;
    tensor_.shape = kShape;
    tensor_.data = memory_.data();
    tensor_.device = 1;
    request_.struct_bytes = sizeof(request_);
    request_.tensors = &tensor_;
    request_.tensor_count = 1;
    request_.tensor_bytes = sizeof(tensor_);
    request_.copies = copies_;
    request_.staging = staging_;
    request_.streams = &stream_;
    request_.stream_count = 1;
    request_.stream_bytes = sizeof(stream_);
  }
  void TearDown() override {
    cairn_mirror_free(mirror_);
    cairn_mirror_free(nullptr);
    cairn_staging_free(staging_);
  }

  nlohmann::json update() {
    char* result = nullptr;
    EXPECT_EQ(cairn_mirror_update(mirror_, &request_, &result), CAIRN_OK) << cairn_error_message();
    const auto told = nlohmann::json::parse(result == nullptr ? "{}" : result);
    cairn_free(result);
    return told;
  }

  Bytes data_ = gpu::random_content(kBytes, 1), copy_ = Bytes(kBytes);
  const gpu::OnDevice memory_{ByteSpan(data_)};
  void* const copies_[1] = {copy_.data()};
  const cairn_stream stream_{nullptr, 0};
  cairn_tensor tensor_{};
  cairn_mirror_request request_{};
  cairn_staging* staging_ = nullptr;
  cairn_mirror* mirror_ = nullptr;
};

TEST_F(CMirror, FollowsATensor) {
  const auto first = update();
  EXPECT_EQ(copy_, data_);
  EXPECT_EQ(first.at("bytes"), kBytes);
  EXPECT_GE(first.at("brought_bytes"), kBytes);
  EXPECT_GE(first.at("elapsed_s"), 0.0);
  EXPECT_FALSE(first.contains("notes"));
  data_[kBytes - 1] ^= 1;
  gpu::must(gpu::copy_up({}, memory_.data(), data_));
  EXPECT_LT(update().at("brought_bytes"), kBytes / 2);
  EXPECT_EQ(copy_, data_);
  EXPECT_EQ(cairn_mirror_update(mirror_, &request_, nullptr), CAIRN_OK) << "without a result";
}

TEST_F(CMirror, AWatchStopsIt) {
  ASSERT_EQ(cairn_watch_new(&request_.watch), CAIRN_OK);
  cairn_watch_stop(request_.watch);
  EXPECT_EQ(cairn_mirror_update(mirror_, &request_, nullptr), CAIRN_CANCELLED);
  cairn_watch_free(request_.watch);
}

TEST_F(CMirror, RequestsThatSayTooLittleAreRefused) {
  const auto expect_refused = [&] {
    EXPECT_EQ(cairn_mirror_update(mirror_, &request_, nullptr), CAIRN_USAGE);
  };
  request_.copies = nullptr;
  expect_refused();
  request_.copies = copies_;
  request_.tensor_bytes = 0;
  expect_refused();
  request_.tensor_bytes = sizeof(tensor_);
  request_.stream_bytes = 0;
  expect_refused();
  request_.stream_bytes = sizeof(stream_);
  request_.staging = nullptr;
  expect_refused();
  request_.staging = staging_;
  request_.struct_bytes = 0;
  expect_refused();
}

/// A caller that knows fewer fields of the request.
TEST_F(CMirror, ARequestMayEndBeforeTheDevices) {
  tensor_.device = 0;
  tensor_.data = data_.data();
  request_.struct_bytes = offsetof(cairn_mirror_request, staging);
  EXPECT_EQ(update().at("brought_bytes"), 0);
  EXPECT_EQ(copy_, data_);
}

}  // namespace
}  // namespace cairn
