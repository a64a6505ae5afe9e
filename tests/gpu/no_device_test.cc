// What a program says that has CUDA's runtime inside and runs where no device is, or an old driver.
#include <gtest/gtest.h>

#include "gpu/device.h"
#include "gpu/digest_plan.h"

namespace cairn::gpu {
namespace {

class WithoutADevice : public testing::Test {
 protected:
  void SetUp() override {
    if (device_facts()) GTEST_SKIP() << "there is a device";
  }
};

TEST_F(WithoutADevice, TheReasonAndWhatToDoAreTold) {
  const auto facts = device_facts();
  EXPECT_EQ(facts.error().code, Code::kFailed);
  EXPECT_NE(facts.error().message.find("CUDA error"), std::string::npos) << facts.error().message;
  EXPECT_FALSE(facts.error().hint.empty());
}

TEST_F(WithoutADevice, ThereAreNone) {
  const auto count = device_count();
  ASSERT_TRUE(count) << count.error().message;
  EXPECT_EQ(*count, 0u);
}

TEST_F(WithoutADevice, EveryCallFailsAndNoneIsFatal) {
  EXPECT_FALSE(DeviceMemory::allocate(100));
  uint8_t host[64] = {};
  EXPECT_FALSE(copy_up({}, host, ByteSpan(host)));
  EXPECT_FALSE(copy_down({}, MutableBytes(host), host));
  EXPECT_FALSE(fill_zeros({}, host, 64));
  EXPECT_FALSE(synchronize({}));
  EXPECT_FALSE(PinnedMemory::allocate(100));
  EXPECT_FALSE(OwnStream::make());
  EXPECT_FALSE(Event::make());
  EXPECT_FALSE(DeviceScope::enter(0));
  EXPECT_FALSE(use_device(0));

  const auto plan = DigestPlan::make(std::vector{Tile{host, 64}});
  ASSERT_TRUE(plan);
  alignas(16) static uint8_t room[4096];
  const DeviceSpan span{room, sizeof room};
  const Status status = digest({}, *plan, span, span, span);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("starting kernel hash_leaves"), std::string::npos)
      << status.error().message;
}

}  // namespace
}  // namespace cairn::gpu
