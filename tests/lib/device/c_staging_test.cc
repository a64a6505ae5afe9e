// The C ABI with tensors on devices.
#include "lib/cairn.h"

#include "tests/gpu/kernel_fixture.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

class CStaging : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cairn_init((folder_ / "store").c_str()), CAIRN_OK) << cairn_error_message();
    ASSERT_EQ(cairn_open((folder_ / "store").c_str(), &store_), CAIRN_OK);
    cairn_staging_options options{};
    options.struct_bytes = sizeof(options);
    options.slab_bytes = 1 << 20;
    options.device_bytes = 16 << 20;
    options.pinned_bytes = 4 << 20;
    ASSERT_EQ(cairn_staging_new(&options, &staging_), CAIRN_OK) << cairn_error_message();
  }
  void TearDown() override {
    cairn_staging_free(staging_);
    cairn_close(store_);
  }

  static cairn_tensor tensor_of(void* data, uint32_t device) {
    static constexpr uint64_t kShape[] = {300, 500};
    cairn_tensor tensor{};
    tensor.name = "w";
    tensor.dtype = "F32";
    tensor.rank = 2;
    tensor.shape = kShape;
    tensor.data = data;
    tensor.device = device;
    return tensor;
  }

  static constexpr uint64_t kBytes = 300 * 500 * 4;
  TempFolder folder_;
  cairn_store* store_ = nullptr;
  cairn_staging* staging_ = nullptr;
};

TEST_F(CStaging, SavesAndLoadsTensorsOnDevices) {
  uint32_t devices = 0;
  ASSERT_EQ(cairn_devices(&devices), CAIRN_OK);
  EXPECT_GE(devices, 1u);
  const Bytes data = gpu::random_content(kBytes, 1);
  const gpu::OnDevice memory{ByteSpan(data)};
  ASSERT_EQ(cairn_staging_lend(staging_, 0, nullptr, 0), CAIRN_OK);
  const cairn_tensor tensor = tensor_of(memory.data(), 1);
  const cairn_stream stream{nullptr, 0};
  int fences = 0;
  cairn_save_request save{};
  save.struct_bytes = sizeof(save);
  save.tag = "t";
  save.tensors = &tensor;
  save.tensor_count = 1;
  save.tensor_bytes = sizeof(tensor);
  save.staging = staging_;
  save.streams = &stream;
  save.stream_count = 1;
  save.stream_bytes = sizeof(stream);
  save.fence = [](void* context) { ++*static_cast<int*>(context); };
  save.fence_context = &fences;
  char* result = nullptr;
  ASSERT_EQ(cairn_save(store_, &save, &result), CAIRN_OK) << cairn_error_message();
  EXPECT_EQ(fences, 1);
  EXPECT_NE(std::string(result).find("\"brought_bytes\""), std::string::npos) << result;
  cairn_free(result);

  const gpu::OnDevice there(kBytes);
  const cairn_tensor target = tensor_of(there.data(), 1);
  cairn_load_request load{};
  load.struct_bytes = sizeof(load);
  load.targets = &target;
  load.target_count = 1;
  load.target_bytes = sizeof(target);
  load.staging = staging_;
  cairn_checkpoint* checkpoint = nullptr;
  ASSERT_EQ(cairn_checkpoint_open(store_, "t", &checkpoint), CAIRN_OK);
  EXPECT_EQ(cairn_load(checkpoint, &load, nullptr), CAIRN_OK) << cairn_error_message();
  cairn_checkpoint_close(checkpoint);
  EXPECT_EQ(there.content(), data);
}

TEST_F(CStaging, BoundsThatNothingFitsInAreRefused) {
  cairn_staging_options options{};
  cairn_staging* staging = nullptr;
  EXPECT_EQ(cairn_staging_new(&options, &staging), CAIRN_USAGE);
  options.struct_bytes = sizeof(options);
  options.slab_bytes = 1;
  EXPECT_EQ(cairn_staging_new(&options, &staging), CAIRN_USAGE);
  EXPECT_EQ(staging, nullptr);
}

}  // namespace
}  // namespace cairn
