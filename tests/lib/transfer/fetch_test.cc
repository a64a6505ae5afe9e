// How many requests a transfer makes of the place that it reads.
#include "tests/lib/transfer/transfer_fixture.h"

namespace cairn {
namespace {

class FetchTest : public TransferTest {
 protected:
  static constexpr uint64_t kChunks = 100'000, kChunkBytes = 1024;

  static void save_bytes(const Store& store, const std::string& tag, const Bytes& bytes) {
    SaveRequest request;
    request.tag = tag;
    const Shape shape = {bytes.size()};
    request.tensors.push_back(
        {"w", Dtype::kU8, shape, whole_box(shape), bytes.data(), contiguous_strides(shape, 1)});
    ASSERT_TRUE(succeeds(save(store, request)));
  }

  /// Requests for parts of packs.
  size_t reads_of(const std::string& tag) {
    std::atomic<size_t> reads = 0;
    FaultFs counting(posix_fs());
    counting.after_read = [&](const std::string& path, MutableBytes) {
      reads += path.find("/packs/") != std::string::npos ? 1 : 0;
    };
    const auto from = *Store::open(counting, path());
    TransferRequest request;
    request.tag = tag;
    EXPECT_TRUE(succeeds(transfer_tag(*from, *there_, request)));
    return reads;
  }
};

TEST_F(FetchTest, SmallNeighboursComeInRangesOfAMegabyte) {
  save_bytes(*store_, "run/0", noise(kChunks * kChunkBytes, 1));
  const size_t perfect = kChunks * kChunkBytes / kMiB + 1;
  const size_t whole = reads_of("run/0");
  EXPECT_LE(whole, perfect * 12 / 10);
  EXPECT_GE(whole, perfect / 4) << "so little that a kill would lose much";
}

TEST_F(FetchTest, SmallGapsAreReadToo) {
  Bytes bytes = noise(kChunks * kChunkBytes, 1);
  save_bytes(*store_, "run/0", bytes);
  // The other store has every other chunk.
  for (uint64_t at = 0; at < bytes.size(); at += 2 * kChunkBytes) ++bytes[at];
  save_bytes(*there_, "run/own", bytes);
  const size_t perfect = kChunks * kChunkBytes / kMiB + 1;
  EXPECT_LE(reads_of("run/0"), perfect * 12 / 10);
}

TEST_F(FetchTest, OfAPackThatIsMostlyDeadWhatLives) {
  constexpr uint64_t kSome = 20'000, kApart = 2000;
  Bytes bytes = noise(kSome * kChunkBytes, 1);
  save_bytes(*store_, "run/0", bytes);
  const Bytes fresh = noise(kSome * kChunkBytes, 2);
  for (uint64_t chunk = 0; chunk < kSome; ++chunk) {
    if (chunk % kApart == 0) continue;
    const auto at = static_cast<ptrdiff_t>(chunk * kChunkBytes);
    std::copy_n(fresh.begin() + at, kChunkBytes, bytes.begin() + at);
  }
  save_bytes(*store_, "run/1", bytes);
  forget({"run/0"});
  TransferRequest request;
  request.tag = "run/1";
  const auto moved = transfer_tag(*store_, *there_, request);
  ASSERT_TRUE(succeeds(moved));
  // Of the dead pack ten ranges, with gaps of at most 256 KiB.
  EXPECT_LE(moved->received_bytes, moved->moved_bytes * 115 / 100);
}

}  // namespace
}  // namespace cairn
