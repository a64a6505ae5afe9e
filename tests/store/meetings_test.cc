// Which files of meetings gc takes: those that nobody waits for.
#include "store/meetings.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "store/session.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

TEST(Meetings, OnlyWhatIsOfTheDeadIsRemoved) {
  const TempFolder folder;
  const std::string path = folder / "store";
  ASSERT_TRUE(Store::init(posix_fs(), path, {}));
  const auto store = *Store::open(posix_fs(), path);
  const auto living = *Session::begin(posix_fs(), path, "run/1", std::nullopt);
  const SessionId gone = *SessionId::fresh();
  const auto write = [](const std::string& file) {
    ASSERT_TRUE(write_new_file(posix_fs(), file, as_bytes(std::string_view("{}"))));
  };
  for (const SessionId& session : {living->id(), gone}) {
    write(announcement_path(path, session));
    write(announcement_path(path, session) + ".writing");
  }
  write(outcome_path(path, "run/1", ""));
  EXPECT_EQ(list_announcements(*store)->size(), 2u);

  EXPECT_TRUE(remove_old_meetings(*store, now_ns()).empty());
  EXPECT_EQ(list_announcements(*store)->size(), 1u);
  EXPECT_TRUE(file_exists(posix_fs(), announcement_path(path, living->id()) + ".writing"));
  EXPECT_FALSE(file_exists(posix_fs(), announcement_path(path, gone)));
  EXPECT_FALSE(file_exists(posix_fs(), announcement_path(path, gone) + ".writing"));
  EXPECT_TRUE(file_exists(posix_fs(), outcome_path(path, "run/1", "")))
      << "somebody may wait for it";

  const int64_t later = now_ns() + 2 * std::chrono::nanoseconds(kSilenceMax).count();
  EXPECT_TRUE(remove_old_meetings(*store, later).empty());
  EXPECT_FALSE(file_exists(posix_fs(), outcome_path(path, "run/1", "")));
  EXPECT_TRUE(file_exists(posix_fs(), lease_path(path, living->id())));
}

}  // namespace
}  // namespace cairn
