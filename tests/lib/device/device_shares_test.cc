// Ranks with tensors on devices, each of which stores its share.
#include "lib/load_together.h"
#include "lib/save_part.h"
#include "tests/lib/device/device_fixture.h"
#include "tests/lib/rank_threads.h"

namespace cairn {
namespace {

class DeviceShares : public DeviceFixture {
 protected:
  static constexpr unsigned kRanks = 3;
  static inline const Shape kShape{300, 500};

  /// As on each rank: some rows, columns of a wider matrix, and a few numbers.
  std::vector<TensorSource> tensors(const Bytes& bytes, uint32_t writer) {
    std::vector<TensorSource> all = cut("w", kShape, bytes, 0, 1, false);
    for (TensorSource& each : cut("turned", {500, 300}, bytes, 1, 1, false)) {
      each.strides_bytes = {2, 1000};
      all.push_back(each);
    }
    for (TensorSource& each : cut("few", {20}, bytes, 0, 1, false)) all.push_back(each);
    for (TensorSource& each : all) each.writer = writer;
    return all;
  }
};

TEST_F(DeviceShares, AreThoseOfTheHost) {
  const Bytes bytes = noise(300 * 500 * 2, 3);
  std::vector<SaveRequest> requests(kRanks);
  std::vector<std::unique_ptr<Staging>> stagings;
  for (unsigned rank = 0; rank < kRanks; ++rank) {
    StagingOptions options = small_options();
    if (rank == 2) options.device_bytes = 1024;  // without room: by plain copies
    stagings.push_back(gpu::must(open_staging(options)));
    SaveRequest& request = requests[rank];
    request.tag = "t";
    request.base = "none";
    request.call.threads = 1;
    request.tensors = tensors(bytes, rank);
    if (rank == 0) continue;  // in the host's memory
    request.tensors = on_device(std::move(request.tensors), rank - 1);
    request.devices.staging = stagings.back().get();
  }
  std::vector<std::unique_ptr<SavedPart>> parts(kRanks);
  gpu::FakeGroup group(kRanks);
  const auto ended = as_ranks(group, [&](unsigned rank, const RankGroup& lent) -> Status {
    requests[rank].group = &lent;
    CAIRN_TRY(parts[rank], save_part(*store_, requests[rank]));
    return {};
  });
  for (const Status& status : ended) gpu::must(status);
  SaveRequest uniting;
  uniting.tag = "t";
  for (const auto& part : parts) uniting.parts.push_back(part->name());
  const SaveResult saved = gpu::must(save(*store_, uniting));
  for (const auto& part : parts) part->keep();
  EXPECT_TRUE(saved.warnings.empty());
  SaveRequest alone;
  alone.tag = "alone";
  alone.base = "none";
  alone.tensors = tensors(bytes, 0);
  EXPECT_EQ(gpu::must(save(*store_, alone)).manifest, saved.manifest);
  EXPECT_EQ(load_whole("t", "w", kShape), bytes);
}

/// Read once, passed on to the host's memory and to those of two devices.
TEST_F(DeviceShares, AreLoadedOnce) {
  const Bytes bytes = noise(300 * 500 * 2, 3);
  SaveRequest saving;
  saving.tag = "t";
  saving.base = "none";
  saving.tensors = tensors(bytes, 0);
  gpu::must(save(*store_, saving));
  std::vector<LoadRequest> requests(kRanks);
  std::vector<std::unique_ptr<Staging>> stagings;
  std::vector<Bytes> rooms(kRanks, Bytes(bytes.size(), 0xEE));
  for (unsigned rank = 0; rank < kRanks; ++rank) {
    StagingOptions options = small_options();
    if (rank == 2) options.device_bytes = 1024;
    stagings.push_back(gpu::must(open_staging(options)));
    TensorTarget target{"w", Dtype::kBF16, kShape, whole_box(kShape), rooms[rank].data(), {}};
    if (rank > 0) {
      const auto scope = gpu::must(gpu::DeviceScope::enter(rank - 1));
      memory_.push_back(std::make_unique<gpu::OnDevice>(ByteSpan(rooms[rank])));
      target.data = memory_.back()->data();
      target.device = rank - 1;
      requests[rank].devices.staging = stagings.back().get();
    }
    requests[rank].call.threads = 1;
    requests[rank].targets = {target};
  }
  uint64_t read = 0;
  std::mutex mutex;
  gpu::FakeGroup group(kRanks);
  const auto ended = as_ranks(group, [&](unsigned rank, const RankGroup& lent) -> Status {
    CAIRN_TRY(const auto checkpoint, open_tag(*store_, "t"));
    CAIRN_TRY(const LoadResult loaded, load_together(*checkpoint, requests[rank], lent));
    const std::lock_guard lock(mutex);
    read += loaded.read_bytes;
    return {};
  });
  for (const Status& status : ended) gpu::must(status);
  EXPECT_EQ(rooms[0], bytes);
  for (unsigned device = 0; device < 2; ++device) {
    const auto scope = gpu::must(gpu::DeviceScope::enter(device));
    EXPECT_EQ(memory_[device]->content(), bytes);
  }
  EXPECT_LE(read, bytes.size() * 105 / 100);
}

TEST_F(DeviceShares, ACommunicatorNeedsALibrary) {
  SaveRequest request;
  request.tag = "t";
  const Bytes bytes = noise(300 * 500 * 2, 3);
  request.tensors = on_device(tensors(bytes, 0));
  request.devices.staging = staging_.get();
  RankGroup group;
  int communicator = 0;
  group.nccl = &communicator;
  request.group = &group;
  EXPECT_FALSE(save_part(*store_, request)) << "no NCCL is here";
}

}  // namespace
}  // namespace cairn
