#include "base/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace cairn {
namespace {

TEST(Process, KnowsItself) {
  const ProcessIdentity self = this_process();
  EXPECT_EQ(self.pid, getpid());
  EXPECT_FALSE(self.host.empty());
  EXPECT_GT(self.start, 0u);
  EXPECT_EQ(process_start(self.pid), self.start);
}

TEST(Process, NoSuchProcessHasNoStart) { EXPECT_EQ(process_start(999999999), 0u); }

TEST(Process, OthersAreSeen) {
  EXPECT_TRUE(process_exists(getpid()));
  EXPECT_TRUE(process_exists(1));
  for (const int64_t pid : {int64_t{999999999}, int64_t{0}, int64_t{-1}, int64_t{1} << 32 | 1}) {
    EXPECT_FALSE(process_exists(pid)) << pid;
  }
}

}  // namespace
}  // namespace cairn
