// Where a library has no kernels, or a machine no device, that is said; all else goes on.
#include <gtest/gtest.h>

#include "lib/staging.h"

namespace cairn {
namespace {

TEST(WithoutDevices, ThereAreNoneAndTheReasonIsTold) {
  const auto count = count_devices();
  ASSERT_TRUE(count) << count.error().message;
  if (*count > 0) GTEST_SKIP() << "this machine has a device";
  const auto staging = open_staging({});
  ASSERT_FALSE(staging);
  EXPECT_EQ(staging.error().code, Code::kFailed);
  EXPECT_FALSE(staging.error().hint.empty());
}

}  // namespace
}  // namespace cairn
