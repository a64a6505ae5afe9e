#include "cli/exit_codes.h"

#include <gtest/gtest.h>

#include <csignal>

#include "cli/help.h"

namespace cairn {
namespace {

TEST(ExitCodes, FollowTheContractsTable) {
  const struct {
    Code code;
    int status;
    const char* word;
  } kTable[] = {
      {Code::kFailed, 1, "failed"},
      {Code::kUsage, 2, "usage"},
      {Code::kPartial, 3, "partial"},
      {Code::kAuth, 4, "auth"},
      {Code::kNoStore, 10, "no-store"},
      {Code::kBusy, 11, "busy"},
      {Code::kCorrupt, 12, "corrupt"},
      {Code::kNoSpace, 13, "no-space"},
      {Code::kNewerFormat, 14, "newer-format"},
      {Code::kNotFound, 15, "not-found"},
      {Code::kExists, 16, "exists"},
      {Code::kUnreachable, 17, "unreachable"},
      {Code::kProtected, 18, "protected"},
      {Code::kBug, 1, "failed"},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(exit_status(row.code), row.status) << row.word;
    EXPECT_EQ(exit_word(row.code), row.word);
  }
}

TEST(ExitCodes, EachIsOnThePage) {
  const std::string page = exit_codes_text();
  for (int number = 0; number <= static_cast<int>(Code::kBug); ++number) {
    const auto code = static_cast<Code>(number);
    const std::string entry = std::string(exit_word(code)) + ":";
    EXPECT_NE(page.find(entry), std::string::npos) << entry << "\n" << page;
    EXPECT_NE(page.find(std::to_string(exit_status(code))), std::string::npos) << entry;
  }
}

TEST(ExitCodes, AStopIsNamedByItsSignal) {
  EXPECT_EQ(exit_status(Code::kCancelled), 130);
  EXPECT_EQ(exit_status(Code::kCancelled, SIGINT), 130);
  EXPECT_EQ(exit_status(Code::kCancelled, SIGTERM), 143);
  EXPECT_EQ(exit_status(Code::kCorrupt, SIGTERM), 12);
}

}  // namespace
}  // namespace cairn
