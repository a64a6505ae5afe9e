#include "base/mapped_file.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

TEST(MappedFile, ShowsTheBytesEvenWhenTheNameIsGone) {
  const TempFolder folder;
  const Bytes data(10000, 7);
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "f", data));
  auto mapped = MappedFile::open(folder / "f");
  ASSERT_TRUE(mapped);
  ASSERT_TRUE(posix_fs().remove(folder / "f"));
  const MappedFile moved = *std::move(mapped);
  EXPECT_EQ(Bytes(moved.bytes().begin(), moved.bytes().end()), data);
}

TEST(MappedFile, KnowsWhenSomebodyWritesToIt) {
  const TempFolder folder;
  const std::string path = folder / "f";
  ASSERT_TRUE(write_new_file(posix_fs(), path, Bytes(10000, 7)));
  // Written a while ago: the clock of files may not tick during this test.
  const auto now = std::filesystem::last_write_time(path);
  std::filesystem::last_write_time(path, now - std::chrono::seconds(10));
  const auto mapped = MappedFile::open(path);
  ASSERT_TRUE(mapped);
  EXPECT_TRUE(mapped->check_unchanged());
  ASSERT_TRUE(posix_fs().rename(path, folder / "g"));
  ASSERT_TRUE(write_new_file(posix_fs(), path, Bytes(10000, 8)));
  EXPECT_TRUE(mapped->check_unchanged()) << "another file of that name is not this one";
  std::fstream(folder / "g", std::ios::in | std::ios::out | std::ios::binary).put('x').flush();
  const Status changed = mapped->check_unchanged();
  ASSERT_FALSE(changed);
  EXPECT_NE(changed.error().message.find("was written to"), std::string::npos);
}

TEST(MappedFile, EmptyAndMissingFiles) {
  const TempFolder folder;
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "empty", {}));
  EXPECT_TRUE(MappedFile::open(folder / "empty")->bytes().empty());
  EXPECT_EQ(MappedFile::open(folder / "no").error().code, Code::kNotFound);
  EXPECT_FALSE(MappedFile::open(folder.path())) << "a folder is no file";
}

}  // namespace
}  // namespace cairn
