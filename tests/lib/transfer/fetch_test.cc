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

}  // namespace
}  // namespace cairn
