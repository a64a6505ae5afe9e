// Packs written by many threads, read back, and what they say of themselves.
#include "store/pack_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/pipeline.h"
#include "store/pack_reader.h"
#include "store/pack_table.h"
#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

class Packs : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Store::init(posix_fs(), path(), {}));
    store_ = *Store::open(posix_fs(), path());
    std::mt19937 random(1);
    for (int i = 0; i < 300; ++i) {
      // Short ones, and long ones that must be aligned.
      Bytes chunk(i % 3 == 0 ? 64 * kKiB + random() % 4096 : 1 + random() % 3000);
      for (uint8_t& byte : chunk) byte = static_cast<uint8_t>(random());
      chunks_.push_back(std::move(chunk));
    }
  }
  std::string path() const { return folder_ / "store"; }

  static NewCopy raw(const Bytes& chunk) {
    return {blake3(chunk), Encoding::kRaw, static_cast<uint32_t>(chunk.size()), chunk};
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
  std::vector<Bytes> chunks_;
};

TEST_F(Packs, WhatManyThreadsAppendIsReadBack) {
  const SessionId session = *SessionId::fresh();
  PackWriter writer(posix_fs(), path(), session, kMiB);
  std::vector<Copy> copies(chunks_.size());
  ASSERT_TRUE(parallel_for(chunks_.size(), 4, [&](uint64_t i) -> Status {
    CAIRN_TRY(copies[i], writer.append(raw(chunks_[i])));
    return {};
  }));
  ASSERT_TRUE(writer.finish());
  EXPECT_GT(writer.packs_begun(), 4u) << "packs are closed at their size";
  uint64_t disk_bytes = 0;
  for (uint32_t number = 0; number < writer.packs_begun(); ++number) {
    const FileId pack{session, number};
    disk_bytes += posix_fs().info(join_path(path(), relative_path(FileKind::kPack, pack)))->bytes;
  }
  EXPECT_EQ(writer.stored_bytes(), disk_bytes);
  PackReader reader(*store_);
  AlignedBuffer room, decoded_room;
  for (size_t i = 0; i < chunks_.size(); ++i) {
    const Copy& copy = copies[i];
    EXPECT_EQ(copy.offset % copy_alignment(copy.stored_bytes), 0u);
    const auto stored =
        reader.read({copy.pack, copy.offset, copy.offset + copy.stored_bytes}, room);
    ASSERT_TRUE(stored) << stored.error().message;
    const auto decoded = reader.decode_checked(copy, blake3(chunks_[i]), *stored, decoded_room);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(Bytes(decoded->begin(), decoded->end()), chunks_[i]);
    EXPECT_FALSE(reader.decode_checked(copy, blake3({}), *stored, decoded_room))
        << "another digest";
  }
}

TEST_F(Packs, TheTableNamesEveryCopy) {
  const SessionId session = *SessionId::fresh();
  PackWriter writer(posix_fs(), path(), session, kGiB);
  std::vector<Copy> copies;
  for (const Bytes& chunk : chunks_) copies.push_back(*writer.append(raw(chunk)));
  ASSERT_TRUE(writer.append({blake3(Bytes(99, 0)), Encoding::kZero, 99, {}}));
  ASSERT_TRUE(writer.finish());
  const auto rows = list_copies(posix_fs(), path(), {session, 0});
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), chunks_.size() + 1);
  for (size_t i = 0; i < copies.size(); ++i) {
    EXPECT_EQ((*rows)[i].digest, blake3(chunks_[i]));
    EXPECT_EQ((*rows)[i].offset, copies[i].offset);
  }
  EXPECT_EQ(rows->back().encoding, Encoding::kZero);
  EXPECT_EQ(list_copies(posix_fs(), path(), {session, 1}).error().code, Code::kNotFound);
}

TEST_F(Packs, ALargeSaveKeepsSeveralOpen) {
  const SessionId session = *SessionId::fresh();
  PackWriter writer(posix_fs(), path(), session, kGiB);
  const uint64_t count = 3 * PackWriter::kBytesForLane / kMiB;
  std::vector<Copy> copies(count);
  const auto chunk = [](uint64_t number) { return Bytes(kMiB, static_cast<uint8_t>(number)); };
  ASSERT_TRUE(parallel_for(count, 8, [&](uint64_t i) -> Status {
    CAIRN_TRY(copies[i], writer.append(raw(chunk(i))));
    return {};
  }));
  ASSERT_TRUE(writer.finish());
  EXPECT_GT(writer.packs_begun(), 1u);
  EXPECT_LE(writer.packs_begun(), PackWriter::kLanesMax);
  EXPECT_GT(writer.stored_bytes(), count * kMiB);
  PackReader reader(*store_);
  AlignedBuffer room;
  for (uint64_t i = 0; i < count; ++i) {
    const auto stored =
        reader.read({copies[i].pack, copies[i].offset, copies[i].offset + kMiB}, room);
    ASSERT_TRUE(stored) << stored.error().message;
    ASSERT_TRUE(std::ranges::equal(*stored, chunk(i))) << i;
  }
}

TEST_F(Packs, AnErrorSticks) {
  for (size_t fail_at = 0;; ++fail_at) {
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    PackWriter writer(faults, path(), *SessionId::fresh(), kMiB);
    bool failed = false;
    for (const Bytes& chunk : chunks_) {
      const bool appended = writer.append(raw(chunk)).has_value();
      EXPECT_FALSE(failed && appended) << "a call succeeded after an error";
      failed = failed || !appended;
    }
    const Status finished = writer.finish();
    if (faults.calls <= fail_at) {
      EXPECT_TRUE(!failed && finished);
      break;
    }
    ASSERT_FALSE(finished) << "a fault at call " << fail_at << " was swallowed";
    EXPECT_EQ(finished.error().code, Code::kNoSpace);
  }
}

TEST_F(Packs, MissingAndShortPacksAreNamed) {
  const SessionId session = *SessionId::fresh();
  PackWriter writer(posix_fs(), path(), session, kMiB);
  const Copy copy = *writer.append(raw(chunks_[0]));
  ASSERT_TRUE(writer.finish());
  PackReader reader(*store_);
  AlignedBuffer room;
  const auto beyond = reader.read({copy.pack, copy.offset, copy.offset + kMiB}, room);
  EXPECT_EQ(beyond.error().code, Code::kCorrupt);
  const auto missing = reader.read({{session, 7}, 0, 10}, room);
  EXPECT_EQ(missing.error().code, Code::kCorrupt);
  EXPECT_NE(missing.error().message.find(session.hex() + "-7"), std::string::npos);
}

}  // namespace
}  // namespace cairn
