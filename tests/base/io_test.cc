#include "base/io.h"

#include <gtest/gtest.h>

#include <latch>
#include <random>

#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

constexpr uint64_t kBuffer = AppendWriter::kBufferBytes;

Bytes noise(uint64_t bytes) {
  std::mt19937_64 random(bytes);
  Bytes data(bytes);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
  return data;
}

TEST(AppendWriter, WritesWhatWasAppendedAtEveryLength) {
  for (const uint64_t bytes :
       {uint64_t{0}, uint64_t{1}, uint64_t{4095}, uint64_t{4096}, uint64_t{4097}, kBuffer - 1,
        kBuffer, kBuffer + 1, 6 * kBuffer + 12345}) {
    const TempFolder folder;
    const Bytes data = noise(bytes);
    auto writer = AppendWriter::create(posix_fs(), folder / "f");
    ASSERT_TRUE(writer);
    for (size_t at = 0; at < data.size();) {
      const size_t part = std::min<size_t>(data.size() - at, 1 + at % 700001);
      ASSERT_TRUE((*writer)->append(ByteSpan(data).subspan(at, part)));
      at += part;
      EXPECT_EQ((*writer)->position(), at);
    }
    ASSERT_TRUE((*writer)->finish());
    EXPECT_EQ(*read_file(posix_fs(), folder / "f", kGiB), data) << bytes;
  }
}

TEST(AppendWriter, PadsWithZeros) {
  const TempFolder folder;
  auto writer = *AppendWriter::create(posix_fs(), folder / "f");
  ASSERT_TRUE(writer->append(Bytes{1, 2, 3}));
  for (const uint64_t alignment : {8, 8, 4096}) {
    ASSERT_TRUE(writer->pad_to(alignment));
    EXPECT_EQ(writer->position() % alignment, 0u);
  }
  ASSERT_TRUE(writer->append(Bytes{4}));
  ASSERT_TRUE(writer->finish());
  Bytes expected(4097, 0);
  expected[0] = 1, expected[1] = 2, expected[2] = 3, expected[4096] = 4;
  EXPECT_EQ(*read_file(posix_fs(), folder / "f", kMiB), expected);
}

TEST(AppendWriter, WritesThroughWhatItIsGiven) {
  const TempFolder folder;
  const Bytes data = noise(5 * kMiB);
  auto writer = *AppendWriter::create(posix_fs(), folder / "f", nullptr, WriteMode::kThrough);
  Bytes expected;
  for (size_t at = 0, part = 1; at < data.size(); at += part, part = part * 3 + 1) {
    part = std::min(part, data.size() - at);
    ASSERT_TRUE(writer->append(ByteSpan(data).subspan(at, part)));
    expected.insert(expected.end(), data.begin() + static_cast<ptrdiff_t>(at),
                    data.begin() + static_cast<ptrdiff_t>(at + part));
    ASSERT_TRUE(writer->pad_to(8));
    expected.resize(round_up(expected.size(), 8));
    ASSERT_TRUE(writer->settle());
    // Before anything is finished.
    EXPECT_EQ(*read_file(posix_fs(), folder / "f", kGiB), expected);
  }
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(*read_file(posix_fs(), folder / "f", kGiB), expected);
}

TEST(AppendWriter, CountsWhatWaitsForTheDisk) {
  const TempFolder folder;
  FaultFs slow(posix_fs());
  std::latch go(1);
  slow.counts = [&](FsCall call, const std::string&) {
    if (call == FsCall::kWrite) go.wait();
    return false;
  };
  std::atomic<uint64_t> backlog{0};
  auto writer = *AppendWriter::create(slow, folder / "f", &backlog);
  ASSERT_TRUE(writer->append(Bytes(2 * kBuffer + 1)));
  EXPECT_EQ(backlog, 2 * kBuffer) << "what is not full is not handed over";
  go.count_down();
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(backlog, 0u);
}

TEST(AppendWriter, ExistingFilesAreNotTouched) {
  const TempFolder folder;
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "f", Bytes{7}));
  EXPECT_EQ(AppendWriter::create(posix_fs(), folder / "f").error().code, Code::kExists);
  EXPECT_EQ(*read_file(posix_fs(), folder / "f", kMiB), Bytes{7});
}

TEST(AppendWriter, AnyFailedCallFailsTheFile) {
  const Bytes data = noise(3 * kBuffer);
  for (size_t fail_at = 1;; ++fail_at) {
    const TempFolder folder;
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    auto writer = AppendWriter::create(faults, folder / "f");
    ASSERT_TRUE(writer);
    const Status appended = (*writer)->append(data);
    const Status finished = (*writer)->finish();
    if (faults.calls <= fail_at) {
      EXPECT_TRUE(appended && finished);
      EXPECT_GT(fail_at, 3u);
      break;
    }
    ASSERT_FALSE(finished) << fail_at;
    EXPECT_EQ(finished.error().code, Code::kNoSpace) << "the first error is kept";
  }
}

TEST(AppendWriter, MayBeLeftUnfinished) {
  const TempFolder folder;
  auto writer = *AppendWriter::create(posix_fs(), folder / "f");
  ASSERT_TRUE(writer->append(noise(2 * kBuffer + 5)));
  writer.reset();
  EXPECT_LE(posix_fs().info(folder / "f")->bytes, 3 * kBuffer);
}

}  // namespace
}  // namespace cairn
