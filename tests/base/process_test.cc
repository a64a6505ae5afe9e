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

}  // namespace
}  // namespace cairn
