// A store in a bucket: made and changed on conditions, while others do the same and answers go
// missing.
#include <gtest/gtest.h>

#include "store/commit.h"
#include "store/remote/directory_backend.h"
#include "store/remote/remote_fs.h"
#include "store/root.h"
#include "store/session.h"
#include "store/store.h"
#include "tests/support/hooked_backend.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn::remote {
namespace {

using namespace std::chrono_literals;

constexpr char kRoot[] = "s3://bucket/prefix";

class BucketStore : public testing::Test {
 protected:
  RemoteFs bucket(HookedBackend::Hook hook) const {
    return {std::make_unique<HookedBackend>(
                open_directory_backend(posix_fs(), folder_.path(), nullptr), std::move(hook)),
            kRoot, 32};
  }
  static WriteResult plain(const std::string&, const HookedBackend::Put& put) { return put(); }

  static Status commit(const Store& store, const std::string& name) {
    CAIRN_TRY(const auto session, Session::begin(store.fs(), store.path(), name, std::nullopt));
    TagEntry entry;
    entry.name = name;
    entry.session = session->id();
    entry.manifest.digest.bytes[0] = 1;
    CommitFailure failure;
    CAIRN_CHECK(commit_tag(store, entry, IfExists::kError, {}, 1s, failure));
    return {};
  }

  static size_t metas(Fs& fs) {
    size_t files = 0;
    const auto folders = *fs.list(join_path(kRoot, "meta"));
    for (const FolderEntry& folder : folders) {
      files += fs.list(join_path(kRoot, "meta/" + folder.name))->size();
    }
    return files;
  }

  TempFolder folder_;
};

TEST_F(BucketStore, IsMadeThoughTheAnswerIsLost) {
  for (const bool takes_effect : {true, false}) {
    for (const std::string& lost : {"root", "config"}) {
      TempFolder folder;
      const auto hook = [&](const std::string& key, const HookedBackend::Put& put) -> WriteResult {
        if (key != lost) return put();
        if (takes_effect) (void)put().has_value();
        return answer_lost();
      };
      RemoteFs fs(std::make_unique<HookedBackend>(
                      open_directory_backend(posix_fs(), folder.path(), nullptr), hook),
                  kRoot, 32);
      const Status made = Store::init(fs, kRoot, {});
      EXPECT_EQ(made.has_value(), takes_effect) << lost;
      if (!takes_effect) continue;
      const auto opened = Store::open(fs, kRoot);
      ASSERT_TRUE(succeeds(opened)) << lost;
      EXPECT_TRUE(succeeds((*opened)->read_tags())) << lost;
    }
  }
}

TEST_F(BucketStore, OfAnotherThatWasFirstIsTold) {
  RemoteFs other = bucket(plain);
  bool is_made = false;
  RemoteFs fs = bucket([&](const std::string&, const HookedBackend::Put& put) {
    if (!std::exchange(is_made, true)) {
      EXPECT_TRUE(succeeds(Store::init(other, kRoot, {})));
    }
    return put();
  });
  EXPECT_TRUE(succeeds(Store::check_vacant(fs, kRoot)));
  EXPECT_TRUE(fails_with(Code::kExists, Store::init(fs, kRoot, {})));
  EXPECT_TRUE(fails_with(Code::kExists, Store::check_vacant(fs, kRoot)));
  EXPECT_TRUE(succeeds((*Store::open(fs, kRoot))->read_tags()));
}

TEST_F(BucketStore, TablesOfALostRaceGo) {
  RemoteFs others = bucket(plain);
  ASSERT_TRUE(succeeds(Store::init(others, kRoot, {})));
  const auto theirs = *Store::open(others, kRoot);
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(succeeds(commit(*theirs, "t/" + std::to_string(i))));
  EXPECT_EQ(metas(others), 0u);
  int races = 0;
  RemoteFs fs = bucket([&](const std::string& key, const HookedBackend::Put& put) {
    // Another changes the root between what this one has read and its put.
    if (key == "root" && races < 3) {
      EXPECT_TRUE(succeeds(theirs->find_tag("t/0")));
      EXPECT_TRUE(succeeds(fork_tag(*theirs, "f/" + std::to_string(races++), "t/0", 1s)));
    }
    return put();
  });
  ASSERT_TRUE(succeeds(commit(**Store::open(fs, kRoot), "own")));
  EXPECT_EQ(races, 3);
  EXPECT_TRUE(succeeds(theirs->find_tag("own")));
  EXPECT_EQ(theirs->read_tags()->tags.size(), 260u);
  std::set<FileId> named;
  const Root root = *read_root(fs, kRoot);
  for (const auto& table : root.tables) named.insert(table.table.file);
  EXPECT_EQ(metas(fs), named.size());
}

TEST_F(BucketStore, TablesThatMayBeNamedStay) {
  RemoteFs others = bucket(plain);
  ASSERT_TRUE(succeeds(Store::init(others, kRoot, {})));
  const auto theirs = *Store::open(others, kRoot);
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(succeeds(commit(*theirs, "t/" + std::to_string(i))));
  bool is_lost = false;
  RemoteFs fs = bucket([&](const std::string& key, const HookedBackend::Put& put) -> WriteResult {
    if (key != "root" || std::exchange(is_lost, true)) return put();
    // It happened, and another built on it before anybody looked.
    EXPECT_TRUE(put().has_value());
    EXPECT_TRUE(succeeds(commit(*theirs, "later")));
    return answer_lost();
  });
  ASSERT_TRUE(succeeds(commit(**Store::open(fs, kRoot), "own")));
  EXPECT_EQ(theirs->read_tags()->tags.size(), 258u);
}

}  // namespace
}  // namespace cairn::remote
