#include "base/error.h"

#include <gtest/gtest.h>
#include <cerrno>

namespace cairn {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(Code::kUsage, "odd", "pass an even number");
  return value / 2;
}

Result<int> quarter(int value) {
  CAIRN_TRY(const int once, half(value));
  CAIRN_CHECK(half(once));
  return half(once);
}

TEST(Error, PassesValuesAndErrorsThrough) {
  EXPECT_EQ(quarter(8).value(), 2);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUsage);
  EXPECT_EQ(failed.error().hint, "pass an even number");
}

TEST(Error, ErrnoDecidesTheCode) {
  EXPECT_EQ(Status(fail_errno(ENOSPC, "write")).error().code, Code::kNoSpace);
  EXPECT_EQ(Status(fail_errno(EDQUOT, "write")).error().code, Code::kNoSpace);
  EXPECT_EQ(Status(fail_errno(ENOENT, "open")).error().code, Code::kNotFound);
  EXPECT_EQ(Status(fail_errno(EEXIST, "open")).error().code, Code::kExists);
  EXPECT_EQ(Status(fail_errno(EIO, "open 'x'")).error().message, "open 'x': Input/output error");
}

TEST(Error, ContextNamesWhatWasBeingDone) {
  const Error error = with_context({Code::kFailed, "cannot write", ""}, "saving 'run/step-1'");
  EXPECT_EQ(error.message, "cannot write (while saving 'run/step-1')");
}

TEST(Error, EveryCodeHasItsOwnName) {
  for (int code = 0; code <= static_cast<int>(Code::kBug); ++code) {
    for (int other = 0; other < code; ++other) {
      EXPECT_NE(code_name(Code(code)), code_name(Code(other)));
    }
  }
}

}  // namespace
}  // namespace cairn
