#include "base/mapped_file.h"

#include <gtest/gtest.h>

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

TEST(MappedFile, EmptyAndMissingFiles) {
  const TempFolder folder;
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "empty", {}));
  EXPECT_TRUE(MappedFile::open(folder / "empty")->bytes().empty());
  EXPECT_EQ(MappedFile::open(folder / "no").error().code, Code::kNotFound);
  EXPECT_FALSE(MappedFile::open(folder.path())) << "a folder is no file";
}

}  // namespace
}  // namespace cairn
