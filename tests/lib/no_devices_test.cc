// Where a library has no kernels, or a machine no device, that is said; all else goes on.
#include <gtest/gtest.h>

#include "lib/mirror.h"
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

TEST(WithoutDevices, ACopyFollowsTensorsOfTheHost) {
  Bytes data(100000, 1), copy(data.size());
  MirrorRequest request;
  request.tensors.push_back({"w", Dtype::kU8, {data.size()}, {{0}, {data.size()}}, data.data()});
  request.copies.push_back(copy.data());
  Mirror mirror;
  const auto updated = mirror.update(request);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(copy, data);
  EXPECT_EQ(updated->brought_bytes, 0u);
  request.tensors[0].device = 0;
  const auto refused = mirror.update(request);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("there is no staging"), std::string::npos);
}

}  // namespace
}  // namespace cairn
