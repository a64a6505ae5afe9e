#include "lib/new_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

class Files : public testing::Test {
 protected:
  std::string path() const { return folder_ / "file"; }
  std::string content() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t files() const { return posix_fs().list(folder_ / "")->size(); }
  Result<NewFile> create(bool force, NewFile::Order order) const {
    return NewFile::create(posix_fs(), path(), force, order);
  }

  TempFolder folder_;
};

TEST_F(Files, ADeviceIsNotReplaced) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  for (const bool force : {false, true}) {
    EXPECT_EQ(create(force, NewFile::Order::kAppend).error().code, Code::kExists);
  }
  EXPECT_FALSE(posix_fs().info(path())->is_file);
}

TEST_F(Files, PartsMayBeWrittenInAnyOrder) {
  auto file = create(false, NewFile::Order::kPlaced);
  ASSERT_TRUE(succeeds(file));
  ASSERT_TRUE(file->write_at(6, as_bytes("world")));
  ASSERT_TRUE(file->write_at(0, as_bytes("hello")));
  ASSERT_TRUE(file->write_at(5, as_bytes(" ")));
  EXPECT_FALSE(file_exists(posix_fs(), path())) << "it is not whole";
  ASSERT_TRUE(succeeds(file->seal()));
  EXPECT_FALSE(file_exists(posix_fs(), path()));
  ASSERT_TRUE(succeeds(file->publish()));
  EXPECT_EQ(content(), "hello world");
  EXPECT_EQ(files(), 1u);
}

TEST_F(Files, WithoutPublishNothingIsLeft) {
  for (const auto order : {NewFile::Order::kAppend, NewFile::Order::kPlaced}) {
    {
      auto file = create(false, order);
      ASSERT_TRUE(succeeds(file));
      if (order == NewFile::Order::kPlaced) {
        ASSERT_TRUE(file->write_at(3, as_bytes("x")));
      }
      EXPECT_EQ(files(), 1u);
      const NewFile moved = *std::move(file);
      EXPECT_EQ(files(), 1u);
    }
    EXPECT_EQ(files(), 0u);
  }
}

TEST_F(Files, AStandingFileIsReplacedByForceOnly) {
  std::ofstream(path()) << "old";
  for (const auto order : {NewFile::Order::kAppend, NewFile::Order::kPlaced}) {
    EXPECT_TRUE(fails_with(Code::kExists, create(false, order)));
    EXPECT_EQ(content().substr(0, 3), "old");
  }
  auto file = create(true, NewFile::Order::kPlaced);
  ASSERT_TRUE(file->write_at(0, as_bytes("new")));
  EXPECT_EQ(content(), "old");
  ASSERT_TRUE(succeeds(file->publish()));
  EXPECT_EQ(content(), "new");
}

TEST_F(Files, ANameThatWasTakenMeanwhileIsNotReplaced) {
  auto file = create(false, NewFile::Order::kPlaced);
  ASSERT_TRUE(file->write_at(0, as_bytes("late")));
  std::ofstream(path()) << "first";
  EXPECT_TRUE(fails_with(Code::kExists, file->publish()));
  EXPECT_EQ(content(), "first");
}

TEST_F(Files, AnEmptyOneIsAFileToo) {
  auto file = create(false, NewFile::Order::kPlaced);
  ASSERT_TRUE(succeeds(file->publish()));
  EXPECT_TRUE(file_exists(posix_fs(), path()));
  EXPECT_EQ(content(), "");
}

}  // namespace
}  // namespace cairn
