// The index follows the root, answers look-ups, and can be deleted.
#include "store/index/index.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "lib/cairn.hpp"
#include "store/checkpoint.h"
#include "store/index/chunk_records.h"

namespace cairn {
namespace {

class IndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("CAIRN_INDEX");
    folder_ = std::filesystem::temp_directory_path() / ("cairn-index-" + SessionId::fresh()->hex());
    Config config;
    config.chunk_elements = 1024;
    ASSERT_TRUE(Store::init(posix_fs(), folder_.string(), config));
    store_ = *Store::open(posix_fs(), folder_.string());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Bytes noise(uint64_t bytes, uint32_t seed) {
    std::mt19937 random(seed);
    Bytes data(bytes);
    for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
    return data;
  }

  SaveResult save_bytes(const std::string& tag, const Bytes& data, LookUp look_up = nullptr) {
    SaveRequest request;
    request.tag = tag;
    request.base = "none";
    request.look_up = std::move(look_up);
    request.tensors.push_back(
        {"w", Dtype::kU8, {data.size()}, whole_box({data.size()}), data.data(), {}, 0});
    const auto saved = save(*store_, request);
    EXPECT_TRUE(saved) << saved.error().message;
    return *saved;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(IndexTest, FollowsTheRootAndFindsChunksOfTheWholeStore) {
  const Bytes data = noise(512 * 1024, 1);
  save_bytes("a/1", data);
  auto index = Index::open(*store_, Index::Access::kWrite);
  ASSERT_TRUE(index) << index.error().message;
  ASSERT_TRUE((*index)->catch_up());
  EXPECT_EQ((*index)->state()->tags, 1u);
  EXPECT_EQ((*index)->state()->chunks, 512u);
  // Another prefix, no base: only the look-up can know.
  const LookUp look_up = [&](const std::vector<Digest>& wanted,
                             std::vector<std::optional<Copy>>& found) {
    return (*index)->look_up(wanted, found);
  };
  const SaveResult again = save_bytes("b/1", data, look_up);
  EXPECT_EQ(again.facts.new_bytes, 0u);
  const auto checkpoint = open_tag(*store_, "b/1");
  ASSERT_TRUE(checkpoint);
  Bytes loaded(data.size());
  LoadRequest request;
  request.targets.push_back(
      {"w", Dtype::kU8, {data.size()}, whole_box({data.size()}), loaded.data(), {}});
  ASSERT_TRUE(load(**checkpoint, request));
  EXPECT_EQ(loaded, data);
  ASSERT_TRUE((*index)->catch_up());
  EXPECT_EQ((*index)->state()->tags, 2u);
  EXPECT_EQ((*index)->state()->chunks, 512u) << "nothing new was stored";
}

TEST_F(IndexTest, FilesOfAKilledHelperGo) {
  save_bytes("a", noise(5000, 1));
  ASSERT_TRUE(Index::open(*store_, Index::Access::kWrite));
  const std::string index = index_path(*store_);
  for (const char* name : {"/ingest-0000000000000001.sst", "/mine.sst"}) {
    ASSERT_TRUE(write_new_file(posix_fs(), index + name, as_bytes("half a file")));
  }
  ASSERT_TRUE(Index::open(*store_, Index::Access::kRead));
  EXPECT_TRUE(file_exists(posix_fs(), index + "/ingest-0000000000000001.sst"))
      << "may be another's";
  ASSERT_TRUE(Index::open(*store_, Index::Access::kWrite));
  EXPECT_FALSE(file_exists(posix_fs(), index + "/ingest-0000000000000001.sst"));
  EXPECT_TRUE(file_exists(posix_fs(), index + "/mine.sst"));
}

TEST_F(IndexTest, LeadsFromATagToItsManifestAndSchema) {
  save_bytes("a/1", noise(512 * 1024, 1));
  auto index = Index::open(*store_, Index::Access::kWrite);
  ASSERT_TRUE(index && (*index)->catch_up());
  const auto tags = (*index)->tags();
  ASSERT_TRUE(tags && tags->size() == 1);
  const auto manifest = (*index)->object(tags->front().manifest.digest);
  const auto schema = (*index)->object(tags->front().schema.digest);
  ASSERT_TRUE(manifest && schema);
  EXPECT_EQ(decode_manifest(*manifest)->pages.size(), 1u);
  EXPECT_EQ(decode_schema(*schema)->tensors.front().name, "w");
  EXPECT_FALSE((*index)->object(Digest{}));
}

TEST_F(IndexTest, ALostPageKeepsNoOtherChunksOut) {
  const Bytes lost = noise(6 * 1024 * 1024, 2), data = noise(512 * 1024, 3);
  save_bytes("a", lost);
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder_ / "meta")) {
    if (file.is_regular_file()) std::filesystem::resize_file(file.path(), 2000);
  }
  save_bytes("b", data);
  auto index = Index::open(*store_, Index::Access::kWrite);
  ASSERT_TRUE(index && (*index)->catch_up());
  EXPECT_EQ((*index)->state()->tags, 1u);
  EXPECT_EQ((*index)->state()->chunks, 512u);
}

TEST_F(IndexTest, ALostPackDoesNotHideALaterCopy) {
  const Bytes data = noise(64 * 1024, 4);
  const auto save_by_index = [&](const std::string& tag) {
    auto index = Index::open(*store_, Index::Access::kWrite);
    EXPECT_TRUE(index && (*index)->catch_up());
    return save_bytes(
               tag, data,
               [&](const std::vector<Digest>& wanted, std::vector<std::optional<Copy>>& found) {
                 return (*index)->look_up(wanted, found);
               })
        .facts.new_bytes;
  };
  EXPECT_EQ(save_by_index("a"), data.size());
  EXPECT_EQ(save_by_index("b"), 0u);
  std::filesystem::remove_all(folder_ / "packs");
  EXPECT_EQ(save_by_index("c"), data.size()) << "what is lost is written again";
  EXPECT_EQ(save_by_index("d"), 0u) << "once";
}

TEST_F(IndexTest, RebuiltItSaysTheSame) {
  const Bytes a = noise(64 * 1024, 2), b = noise(64 * 1024, 3);
  save_bytes("r/1", a);
  {
    auto index = Index::open(*store_, Index::Access::kWrite);
    ASSERT_TRUE(index && (*index)->catch_up());
  }
  save_bytes("r/2", b);
  IndexState followed;
  {
    auto index = Index::open(*store_, Index::Access::kWrite);
    ASSERT_TRUE(index && (*index)->catch_up());
    followed = *(*index)->state();
  }
  std::filesystem::remove_all(index_path(*store_));
  auto rebuilt = Index::open(*store_, Index::Access::kWrite);
  ASSERT_TRUE(rebuilt && (*rebuilt)->catch_up());
  EXPECT_EQ((*rebuilt)->state()->tags, followed.tags);
  EXPECT_EQ((*rebuilt)->state()->chunks, followed.chunks);
  EXPECT_EQ((*rebuilt)->state()->commit, followed.commit);
}

TEST_F(IndexTest, OneWriterAtATime) {
  auto first = Index::open(*store_, Index::Access::kWrite);
  ASSERT_TRUE(first);
  const auto second = Index::open(*store_, Index::Access::kWrite);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kBusy) << second.error().message;
}

TEST_F(IndexTest, PairsThatMakeItAtTheSameTimeBothHaveIt) {
  for (int pair = 0; pair < 40; ++pair) {
    ASSERT_TRUE(Index::destroy(*store_));
    std::array<std::string, 2> errors;
    const auto open = [&](size_t number) {
      const auto index = Index::open(*store_, Index::Access::kShared);
      const Status caught_up = index ? (*index)->catch_up() : tl::unexpected(index.error());
      if (!caught_up) errors[number] = caught_up.error().message;
    };
    std::thread other(open, 1);
    open(0);
    other.join();
    EXPECT_EQ(errors, (std::array<std::string, 2>{})) << "pair " << pair;
  }
}

TEST_F(IndexTest, OfAnotherStoreIsRefused) {
  {
    auto index = Index::open(*store_, Index::Access::kWrite);
    ASSERT_TRUE(index);
    save_bytes("t", noise(4096, 4));
    ASSERT_TRUE((*index)->catch_up());
  }
  const std::string other = folder_.string() + "-other";
  ASSERT_TRUE(Store::init(posix_fs(), other, Config{}));
  const auto store = Store::open(posix_fs(), other);
  setenv("CAIRN_INDEX", index_path(*store_).c_str(), 1);
  const auto index = Index::open(**store, Index::Access::kWrite);
  unsetenv("CAIRN_INDEX");
  std::filesystem::remove_all(other);
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code, Code::kCorrupt);
}

TEST_F(IndexTest, TheIndexOfAnotherStoreIsNotDestroyed) {
  {
    auto index = Index::open(*store_, Index::Access::kWrite);
    ASSERT_TRUE(index) << "empty, and this store's";
  }
  const std::string other = folder_.string() + "-other";
  ASSERT_TRUE(Store::init(posix_fs(), other, Config{}));
  const auto store = Store::open(posix_fs(), other);
  setenv("CAIRN_INDEX", index_path(*store_).c_str(), 1);
  const Status destroyed = Index::destroy(**store);
  unsetenv("CAIRN_INDEX");
  std::filesystem::remove_all(other);
  ASSERT_FALSE(destroyed);
  EXPECT_EQ(destroyed.error().code, Code::kCorrupt);
  EXPECT_TRUE(Index::open(*store_, Index::Access::kRead));
}

TEST_F(IndexTest, WhatIsInItsPlaceIsSetAside) {
  const std::string path = index_path(*store_);
  for (const bool is_folder : {false, true}) {
    std::filesystem::remove_all(path);
    if (is_folder) std::filesystem::create_directories(path + "/CURRENT/x");
    if (!is_folder) {
      ASSERT_TRUE(write_new_file(posix_fs(), path, as_bytes("notes")));
    }
    ASSERT_TRUE(Index::destroy(*store_));
    auto index = Index::open(*store_, Index::Access::kWrite);
    ASSERT_TRUE(index) << index.error().message;
    EXPECT_TRUE((*index)->catch_up());
  }
  size_t aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(store_->path())) {
    aside += entry.path().filename().string().starts_with("index.replaced-") ? 1 : 0;
  }
  EXPECT_EQ(aside, 2u);
}

TEST_F(IndexTest, AFolderOfOtherFilesIsNotDestroyed) {
  const std::string path = index_path(*store_);
  std::filesystem::create_directories(path);
  ASSERT_TRUE(write_new_file(posix_fs(), path + "/000012.log", as_bytes("precious")));
  EXPECT_FALSE(Index::destroy(*store_));
  EXPECT_TRUE(file_exists(posix_fs(), path + "/000012.log"));
  std::filesystem::remove_all(path);
}

TEST_F(IndexTest, AnErrorUnderANameWithLockIsNotBusy) {
  const std::string file = folder_.string() + "/While lock file";
  ASSERT_TRUE(write_new_file(posix_fs(), file, {}));
  setenv("CAIRN_INDEX", (file + "/index").c_str(), 1);
  const auto index = Index::open(*store_, Index::Access::kWrite);
  unsetenv("CAIRN_INDEX");
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code, Code::kFailed) << index.error().message;
}

}  // namespace
}  // namespace cairn
