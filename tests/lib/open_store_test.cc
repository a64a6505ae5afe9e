// Stores by the words of a user.
#include "lib/open_store.h"

#include <thread>

#include "tests/lib/store_fixture.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

using OpenStoreTest = StoreFixture;

TEST_F(OpenStoreTest, FoldersAndTheirUrls) {
  for (const std::string& place : {path(), "file://" + path(), "file://localhost" + path()}) {
    EXPECT_FALSE(is_remote(place)) << place;
    const auto opened = open_store(place);
    ASSERT_TRUE(succeeds(opened)) << place;
    EXPECT_EQ((*opened)->path(), path());
    EXPECT_EQ((**opened).config().store_id, store_->config().store_id);
  }
  EXPECT_TRUE(is_remote("https://host/path"));
  EXPECT_TRUE(is_remote("s3://bucket/prefix"));
  EXPECT_TRUE(fails_with(Code::kNoStore, open_store(folder_ / "nowhere")));
  EXPECT_TRUE(fails_with(Code::kUsage, open_store("gopher://host/path")));
}

TEST_F(OpenStoreTest, OneIsMadeLikeAnother) {
  bool was_made = true;
  ASSERT_TRUE(succeeds(open_or_make_store(path(), store_->config(), was_made)));
  EXPECT_FALSE(was_made);
  const auto made = open_or_make_store(folder_ / "new", store_->config(), was_made);
  ASSERT_TRUE(succeeds(made));
  EXPECT_TRUE(was_made);
  EXPECT_EQ((*made)->config().chunk_elements, store_->config().chunk_elements);
  EXPECT_NE((*made)->config().store_id, store_->config().store_id);
}

TEST_F(OpenStoreTest, NothingIsMadeWhereSomethingIs) {
  ASSERT_TRUE(posix_fs().make_folders(folder_ / "other"));
  ASSERT_TRUE(write_new_file(posix_fs(), folder_ / "other/notes", as_bytes("mine")));
  bool was_made = false;
  EXPECT_TRUE(fails_with(Code::kNoStore,
                         open_or_make_store(folder_ / "other", store_->config(), was_made)));
  EXPECT_EQ(posix_fs().list(folder_ / "other")->size(), 1u);
}

TEST_F(OpenStoreTest, OfSeveralThatMakeOneAtOnceAllHaveIt) {
  for (int round = 0; round < 10; ++round) {
    const std::string place = folder_ / ("new-" + std::to_string(round));
    std::atomic<int> made = 0, opened = 0;
    {
      std::vector<std::jthread> makers;
      for (int i = 0; i < 4; ++i) {
        makers.emplace_back([&] {
          bool was_made = false;
          const auto store = open_or_make_store(place, store_->config(), was_made);
          EXPECT_TRUE(succeeds(store));
          opened += store ? 1 : 0;
          made += was_made ? 1 : 0;
        });
      }
    }
    EXPECT_EQ(opened, 4);
    EXPECT_EQ(made, 1);
  }
}

TEST_F(OpenStoreTest, WhereOneMayBeMadeIsFoundWithoutMakingIt) {
  const auto there = find_store(path());
  ASSERT_TRUE(succeeds(there));
  EXPECT_TRUE(there->has_value());
  const auto none = find_store(folder_ / "new");
  ASSERT_TRUE(succeeds(none));
  EXPECT_FALSE(none->has_value());
  EXPECT_FALSE(file_exists(posix_fs(), folder_ / "new"));
  ASSERT_TRUE(posix_fs().make_folders(folder_ / "other"));
  ASSERT_TRUE(write_new_file(posix_fs(), folder_ / "other/notes", as_bytes("mine")));
  EXPECT_TRUE(fails_with(Code::kNoStore, find_store(folder_ / "other")));
}

}  // namespace
}  // namespace cairn
