#include "store/remote/read_cache.h"

#include <gtest/gtest.h>

#include <latch>

#include "base/pipeline.h"
#include "tests/support/temp_folder.h"

namespace cairn::remote {
namespace {

constexpr uint64_t kBlock = ReadCache::kBlockBytes;

/// A file elsewhere, and what was asked of it.
struct Elsewhere {
  explicit Elsewhere(uint64_t size) : bytes(size) {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
  }
  ReadCache::Fetch fetch() {
    return [this](uint64_t offset, MutableBytes out) -> Result<size_t> {
      ++asked;
      if (is_gone) return fail(Code::kUnreachable, "gone");
      if (offset >= bytes.size()) return size_t{0};
      const size_t count = std::min<size_t>(out.size(), bytes.size() - offset);
      std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), count, out.begin());
      fetched += count;
      return count;
    };
  }
  Bytes part(uint64_t offset, uint64_t length) const {
    const auto begin = bytes.begin() + static_cast<ptrdiff_t>(std::min(offset, bytes.size()));
    return {begin, begin + static_cast<ptrdiff_t>(
                               std::min(length, bytes.size() - std::min(offset, bytes.size())))};
  }

  Bytes bytes;
  std::atomic<uint64_t> asked{0}, fetched{0};
  bool is_gone = false;
};

class Caches : public ::testing::Test {
 protected:
  std::shared_ptr<ReadCache> open(uint64_t bytes_max = kGiB) {
    auto cache = ReadCache::open(posix_fs(), folder(), bytes_max);
    EXPECT_TRUE(cache) << cache.error().message;
    return *std::move(cache);
  }
  std::string folder() const { return folder_ / "cache"; }
  std::string path(const std::string& name) const { return join_path(folder(), name + ".blocks"); }
  static Bytes read(ReadCache& cache, Elsewhere& there, uint64_t offset, uint64_t length,
                    const std::string& name = "a") {
    Bytes out(length);
    const auto count = cache.read(name, offset, out, there.fetch());
    EXPECT_TRUE(count) << count.error().message;
    out.resize(count.value_or(0));
    return out;
  }
  uint64_t taken() const {
    uint64_t bytes = 0;
    const auto entries = *posix_fs().list(folder());
    for (const FolderEntry& entry : entries) {
      bytes += posix_fs().info(join_path(folder(), entry.name))->disk_bytes;
    }
    return bytes;
  }

  TempFolder folder_;
};

TEST_F(Caches, AnyReadIsAnsweredAsTheFileWouldAndOnceOnly) {
  Elsewhere there(5 * kBlock + 1234);
  const auto cache = open();
  const uint64_t places[] = {0,
                             1,
                             kBlock - 1,
                             kBlock,
                             kBlock + 1,
                             2 * kBlock,
                             5 * kBlock - 1,
                             5 * kBlock + 1233,
                             5 * kBlock + 1234,
                             6 * kBlock};
  for (int round = 0; round < 2; ++round) {
    for (const uint64_t offset : places) {
      for (const uint64_t length : {uint64_t{1}, kBlock - 1, kBlock, 3 * kBlock + 1, 7 * kBlock}) {
        EXPECT_EQ(read(*cache, there, offset, length), there.part(offset, length))
            << offset << " " << length;
      }
    }
  }
  EXPECT_LE(there.fetched, there.bytes.size() + 5 * kBlock);
  there.is_gone = true;
  EXPECT_EQ(read(*open(), there, 0, there.bytes.size()), there.bytes) << "another process";
}

TEST_F(Caches, OneRequestBringsWhatIsMissing) {
  Elsewhere there(10 * kBlock);
  const auto cache = open();
  read(*cache, there, 0, 2 * kBlock);
  read(*cache, there, 8 * kBlock, 2 * kBlock);
  there.asked = there.fetched = 0;
  EXPECT_EQ(read(*cache, there, 0, 10 * kBlock), there.bytes);
  EXPECT_EQ(there.asked, 1u);
  EXPECT_EQ(there.fetched, 6 * kBlock);
}

TEST_F(Caches, DamageIsNotThere) {
  Elsewhere there(4 * kBlock);
  read(*open(), there, 0, 4 * kBlock);
  const uint64_t size = posix_fs().info(path("a"))->bytes;
  for (uint64_t offset = ReadCache::kSlotBytes; offset < size; offset += 4999) {
    const auto file = *posix_fs().open(path("a"), OpenMode::kUpdate);
    Bytes byte(1);
    ASSERT_TRUE(file->read_at(offset, byte));
    byte[0] ^= 0x40;
    ASSERT_TRUE(file->write_at(offset, byte));
    EXPECT_EQ(read(*open(), there, 0, 4 * kBlock), there.bytes) << offset;
  }
  ASSERT_TRUE((*posix_fs().open(path("a"), OpenMode::kUpdate))->truncate(2 * kBlock));
  EXPECT_EQ(read(*open(), there, 0, 4 * kBlock), there.bytes);
}

TEST_F(Caches, WhatIsDistrustedIsFetchedAnew) {
  Elsewhere there(4 * kBlock);
  const Bytes right = there.bytes;
  there.bytes[kBlock + 5] ^= 1;
  const auto cache = open();
  EXPECT_NE(read(*cache, there, 0, 4 * kBlock), right);
  there.bytes = right;
  EXPECT_NE(read(*cache, there, 0, 4 * kBlock), right) << "it cannot know";
  there.fetched = 0;
  cache->distrust("a", kBlock + 5, 1);
  EXPECT_EQ(read(*cache, there, 0, 4 * kBlock), right);
  EXPECT_EQ(there.fetched, kBlock);
}

TEST_F(Caches, AFileThatWasShorterOnTheWayIsNotForEver) {
  Elsewhere there(4 * kBlock);
  const Bytes right = there.bytes;
  for (const uint64_t cut : {uint64_t{100}, kBlock, kBlock + 7, 3 * kBlock - 1}) {
    const std::string name = "cut at " + std::to_string(cut);
    const auto cache = open();
    there.bytes.resize(cut);
    EXPECT_EQ(read(*cache, there, 0, 4 * kBlock, name).size(), cut);
    there.bytes = right;
    // Who needs bytes that are not there says so of these alone.
    cache->distrust(name, 3 * kBlock, 10);
    EXPECT_EQ(read(*cache, there, 0, 4 * kBlock, name), right) << cut;
    there.is_gone = true;
    EXPECT_EQ(read(*open(), there, 0, 4 * kBlock, name), right);
    there.is_gone = false;
  }
}

TEST_F(Caches, AnErrorKeepsNothing) {
  Elsewhere there(kBlock);
  const auto cache = open();
  there.is_gone = true;
  Bytes out(kBlock);
  EXPECT_EQ(cache->read("a", 0, out, there.fetch()).error().code, Code::kUnreachable);
  there.is_gone = false;
  EXPECT_EQ(read(*cache, there, 0, kBlock), there.bytes);
}

TEST_F(Caches, SizesAreKept) {
  EXPECT_FALSE(open()->size("a"));
  open()->keep_size("a", 123456789012);
  EXPECT_EQ(open()->size("a"), 123456789012u);
  EXPECT_FALSE(open()->size("b"));
}

TEST_F(Caches, ItStaysWithinItsBound) {
  const uint64_t bound = 64 * kBlock;
  const auto cache = open(bound);
  Elsewhere there(4 * kBlock);
  for (int number = 0; number < 60; ++number) {
    const std::string name = "f" + std::to_string(number);
    EXPECT_EQ(read(*cache, there, 0, 4 * kBlock, name), there.bytes);
    EXPECT_LE(taken(), bound + bound / 8);
  }
  there.fetched = 0;
  EXPECT_EQ(read(*cache, there, 0, 4 * kBlock, "f59"), there.bytes);
  EXPECT_EQ(there.fetched, 0u) << "the newest are there";
  EXPECT_EQ(read(*cache, there, 0, 4 * kBlock, "f0"), there.bytes);
  EXPECT_GT(there.fetched, 0u) << "the oldest are gone";
  open(kBlock);
  EXPECT_LE(taken(), kBlock) << "a smaller bound holds at once";
}

TEST_F(Caches, WhatSeveralWantAtOnceIsFetchedOnce) {
  Elsewhere there(3 * kBlock);
  const auto cache = open();
  std::latch all_came(8);
  const auto slow = [&](uint64_t offset, MutableBytes out) {
    all_came.wait();
    return there.fetch()(offset, out);
  };
  ASSERT_TRUE(parallel_for(8, 8, [&](uint64_t i) -> Status {
    Bytes out(100);
    all_came.count_down();
    CAIRN_TRY(const size_t count, cache->read("a", i * 1000, out, slow));
    out.resize(count);
    EXPECT_EQ(out, there.part(i * 1000, 100));
    return {};
  }));
  EXPECT_EQ(there.asked, 1u);
}

TEST_F(Caches, ManyReadersAtOnce) {
  Elsewhere there(40 * kBlock + 77);
  const auto one = open(16 * kBlock), other = open(16 * kBlock);
  ASSERT_TRUE(parallel_for(400, 8, [&](uint64_t i) -> Status {
    const uint64_t offset = i * 6151 % there.bytes.size(), length = 1 + i * 9973 % (3 * kBlock);
    const std::string name = "f" + std::to_string(i % 5);
    Bytes out(length);
    CAIRN_TRY(const size_t count, (i % 2 ? one : other)->read(name, offset, out, there.fetch()));
    out.resize(count);
    EXPECT_EQ(out, there.part(offset, length));
    return {};
  }));
}

TEST_F(Caches, AFolderOfOtherThingsIsLeftAlone) {
  ASSERT_TRUE(posix_fs().make_folders(folder()));
  ASSERT_TRUE(posix_fs().open(join_path(folder(), "precious.blocks"), OpenMode::kCreate));
  const auto cache = ReadCache::open(posix_fs(), folder(), 1);
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, Code::kUsage);
  EXPECT_TRUE(posix_fs().info(join_path(folder(), "precious.blocks")));
}

}  // namespace
}  // namespace cairn::remote
