// A store in a bucket: made and changed on conditions, while others do the same and answers go
// missing.
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <set>
#include <thread>

#include "store/commit.h"
#include "store/pack_table.h"
#include "store/pack_writer.h"
#include "store/remote/directory_backend.h"
#include "store/remote/remote_fs.h"
#include "store/root.h"
#include "store/sealing_packs.h"
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

Bytes chunk_of(uint64_t number) { return Bytes(kMiB, static_cast<uint8_t>(number)); }

Result<Copy> append(PackWriter& packs, uint64_t number) {
  const Bytes chunk = chunk_of(number);
  return packs.append({blake3(chunk), Encoding::kRaw, static_cast<uint32_t>(kMiB), chunk});
}

TEST_F(BucketStore, APackIsSentAtOnceWhileTheNextIsFilled) {
  std::mutex mutex;
  std::condition_variable more;
  int under_way = 0, most = 0;
  RemoteFs fs = bucket([&](const std::string& key, const HookedBackend::Put& put) {
    if (!key.starts_with("packs/")) return put();
    std::unique_lock lock(mutex);
    most = std::max(most, ++under_way);
    more.notify_all();
    more.wait_for(lock, 20s, [&] { return most >= 2; });
    --under_way;
    lock.unlock();
    return put();
  });
  ASSERT_TRUE(succeeds(Store::init(fs, kRoot, {})));
  const auto store = *Store::open(fs, kRoot);
  const SessionId session = *SessionId::fresh();
  PackWriter packs(*store, session);
  constexpr uint64_t kChunks = 24;
  for (uint64_t i = 0; i < kChunks; ++i) ASSERT_TRUE(succeeds(append(packs, i)));
  ASSERT_TRUE(succeeds(packs.finish()));
  EXPECT_GE(most, 2);
  std::set<Digest> found;
  uint64_t bytes = 0;
  for (uint32_t number = 0; number < packs.packs_begun(); ++number) {
    const FileId pack{session, number};
    const auto info = fs.info(join_path(kRoot, relative_path(FileKind::kPack, pack)));
    ASSERT_TRUE(succeeds(info));
    EXPECT_LE(info->bytes, ConditionalFiles::kSentAtOnceBytes);
    bytes += info->bytes;
    const auto rows = list_copies(fs, kRoot, pack);
    ASSERT_TRUE(succeeds(rows));
    for (const PackedCopy& row : *rows) found.insert(row.digest);
  }
  EXPECT_EQ(packs.packs_begun(), 4u) << "seven in each, beside its table";
  EXPECT_EQ(found.size(), kChunks);
  EXPECT_EQ(packs.stored_bytes(), bytes);
}

/// A bucket that takes one pack a second, in their order, however many come at once.
class OneASecond {
 public:
  OneASecond(SessionId session, size_t packs) : packs_(packs) {
    for (uint32_t number = 0; number < packs; ++number) {
      numbers_[relative_path(FileKind::kPack, {session, number})] = number;
    }
  }

  WriteResult take(const std::string& key, const HookedBackend::Put& put) {
    const auto number = numbers_.find(key);
    if (number == numbers_.end()) return put();
    std::unique_lock lock(mutex_);
    ++come_;
    changed_.notify_all();
    changed_.wait_for(lock, kLongest, [&] { return number->second < taken_; });
    lock.unlock();
    return put();
  }

  /// The time now, which somebody wants to know when a pack is there.
  SendingWidth::Time now() {
    const std::lock_guard lock(mutex_);
    ++told_;
    changed_.notify_all();
    return SendingWidth::Time(std::chrono::seconds(told_));
  }

  /// Takes one as soon as all that shall be under way are; how many that was.
  size_t take_one(const SealingPacks& sealing) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kLongest, [&] { return told_ == taken_; }));
    lock.unlock();
    const size_t width = std::min(sealing.width(), packs_ - taken_);
    lock.lock();
    EXPECT_TRUE(changed_.wait_for(lock, kLongest, [&] { return come_ - taken_ >= width; }));
    const size_t under_way = come_ - taken_++;
    changed_.notify_all();
    return under_way;
  }

 private:
  static constexpr std::chrono::seconds kLongest{20};

  const size_t packs_;
  std::map<std::string, size_t> numbers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t come_ = 0, taken_ = 0, told_ = 0;
};

TEST_F(BucketStore, AsFewPacksAreSentAtOnceAsAreAsFast) {
  constexpr size_t kPacks = 100;
  const SessionId session = *SessionId::fresh();
  OneASecond place(session, kPacks);
  RemoteFs fs = bucket(
      [&](const std::string& key, const HookedBackend::Put& put) { return place.take(key, put); });
  SealingPacks sealing(12, [&] { return place.now(); });
  std::thread writer([&] {
    for (uint32_t number = 0; number < kPacks; ++number) {
      auto pack = OpenPack::begin(fs, kRoot, {session, number}, nullptr, WriteMode::kThrough);
      ASSERT_TRUE(succeeds(pack));
      EXPECT_TRUE(succeeds(sealing.add(*std::move(pack))));
    }
    EXPECT_TRUE(succeeds(sealing.finish()));
  });
  std::vector<size_t> under_way(kPacks);
  for (size_t& each : under_way) each = place.take_one(sealing);
  writer.join();
  EXPECT_EQ(under_way.front(), 12u);
  for (size_t i = 60; i < kPacks; ++i) EXPECT_LE(under_way[i], 3u) << i;
}

TEST_F(BucketStore, APackThatCannotBeSentEndsTheWriting) {
  std::atomic<int> sent{0};
  RemoteFs fs = bucket([&](const std::string& key, const HookedBackend::Put& put) -> WriteResult {
    if (!key.starts_with("packs/") || ++sent != 2) return put();
    return tl::unexpected<WriteError>(WriteError{{Code::kNoSpace, "full", ""}, false});
  });
  ASSERT_TRUE(succeeds(Store::init(fs, kRoot, {})));
  const auto store = *Store::open(fs, kRoot);
  PackWriter packs(*store, *SessionId::fresh());
  EXPECT_EQ(packs.write_through(1), 2 * ConditionalFiles::kSentAtOnceBytes);
  Status done;
  for (uint64_t i = 0; i < 100 && done; ++i) {
    const auto appended = append(packs, i);
    if (!appended) done = tl::unexpected(appended.error());
  }
  ASSERT_FALSE(done) << "only two packs are in memory at once";
  EXPECT_EQ(done.error().code, Code::kNoSpace);
  EXPECT_FALSE(packs.finish());
  EXPECT_FALSE(append(packs, 0));
}

}  // namespace
}  // namespace cairn::remote
