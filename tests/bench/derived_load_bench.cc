// What a load onto a device costs the host where weights are the rounded masters: with a device
// that makes them of these, and with one that has no room for it, so that the host does. In the
// device's place stands memory that takes what is put there; neither its work nor the way to it is
// measured. Usage: derived_load_bench FOLDER [MiB of masters], in an empty folder, best of tmpfs.
#include <sys/resource.h>

#include <algorithm>
#include <iostream>
#include <random>

#include "base/clock.h"
#include "base/encodings/cast.h"
#include "lib/staged_calls.h"
#include "store/store.h"

namespace cairn {
namespace {

/// Takes all into the same memory.
class Sink final : public StagedLoad {
 public:
  explicit Sink(bool makes) : makes_(makes) {}

  Status put(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) override {
    thread_local AlignedBuffer room;
    if (room.size() < unit.bytes) room = AlignedBuffer(unit.bytes);
    sent_bytes_ += unit.bytes;
    return fill(room.span().first(unit.bytes));
  }
  Result<bool> put_with(StagedUnit unit, const std::function<Status(MutableBytes)>& fill,
                        DerivedUnit derived) override {
    if (!makes_ || !derived.residuals.empty()) return false;
    CAIRN_CHECK(put(std::move(unit), fill));
    return true;
  }
  Status finish() override { return {}; }
  uint64_t sent_bytes() const override { return sent_bytes_; }
  std::vector<std::string> notes() const override { return {}; }

 private:
  const bool makes_;
  std::atomic<uint64_t> sent_bytes_{0};
};

class SinkStaging final : public Staging {
 public:
  explicit SinkStaging(bool makes) : makes_(makes) {}
  Status lend(unsigned, void*, uint64_t) override { return {}; }
  Result<std::unique_ptr<StagedSave>> begin_save(const DeviceChoices&, std::vector<TensorSource>&,
                                                 uint64_t) override {
    return fail(Code::kBug, "nothing is saved");
  }
  Result<std::unique_ptr<StagedLoad>> begin_load(const DeviceChoices&,
                                                 const std::vector<TargetBox>&) override {
    return std::make_unique<Sink>(makes_);
  }
  Result<std::unique_ptr<gpu::Transport>> join(const RankGroup&) override {
    return fail(Code::kBug, "there are no ranks");
  }
  Result<std::unique_ptr<NewCommunicator>> new_communicator(const RankGroup&) override {
    return fail(Code::kBug, "there are no ranks");
  }
  Result<std::unique_ptr<PassedBuckets>> open_buckets(const DeviceChoices&,
                                                      const RankGroup&) override {
    return fail(Code::kBug, "there are no ranks");
  }

 private:
  const bool makes_;
};

struct State {
  Shape shape;
  Bytes master, weight;
};

State make_state(uint64_t items, unsigned seed) {
  State state{{items / 1024, 1024}, Bytes(4 * items), Bytes(2 * items)};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02f);
  for (uint64_t i = 0; i < items; ++i) store_le(state.master, 4 * i, normal(random));
  cast_items(Cast::kF32ToBf16, state.master, state.weight);
  return state;
}

Status save_state(const Store& store, const std::string& tag, const State& state) {
  SaveRequest request;
  request.tag = tag;
  request.tensors = {{"master",
                      Dtype::kF32,
                      state.shape,
                      whole_box(state.shape),
                      state.master.data(),
                      {},
                      0,
                      Role::kMaster,
                      "p"},
                     {"weight",
                      Dtype::kBF16,
                      state.shape,
                      whole_box(state.shape),
                      state.weight.data(),
                      {},
                      0,
                      Role::kWeight,
                      "p"}};
  CAIRN_CHECK(save(store, request));
  return {};
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return double(time.tv_sec) + 1e-6 * double(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Status measure(const Store& store, const std::string& tag, const State& state, bool makes) {
  SinkStaging staging(makes);
  uint8_t nowhere = 0;  // no byte is written to targets
  LoadRequest request;
  request.devices.staging = &staging;
  request.call.threads = 1;
  request.targets = {
      {"master", Dtype::kF32, state.shape, whole_box(state.shape), &nowhere, {}, 0},
      {"weight", Dtype::kBF16, state.shape, whole_box(state.shape), &nowhere, {}, 0}};
  double least = 1e9, wall = 1e9;
  LoadResult loaded;
  for (int round = 0; round < 9; ++round) {
    CAIRN_TRY(const auto checkpoint, open_tag(store, tag));
    const double before = processor_seconds();
    CAIRN_TRY(loaded, load(*checkpoint, request));
    least = std::min(least, processor_seconds() - before);
    wall = std::min(wall, loaded.elapsed_s);
  }
  std::cout << tag << ", weights made by the " << (makes ? "device" : "host") << ": "
            << loaded.bytes << " bytes wanted, " << loaded.sent_bytes << " sent, " << least
            << " s of the processor, " << wall << " s\n";
  return {};
}

Status run(const std::string& folder, uint64_t mib) {
  CAIRN_CHECK(Store::init(posix_fs(), folder, {}));
  CAIRN_TRY(const auto store, Store::open(posix_fs(), folder));
  const uint64_t items = mib << 18;
  // Upon a tag with nothing in common masters stand by themselves.
  State state = make_state(items, 1);
  CAIRN_CHECK(save_state(*store, "run/0", state));
  state = make_state(items, 2);
  CAIRN_CHECK(save_state(*store, "run/alone", state));
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 1e-4f);
  for (uint64_t i = 0; i < items; ++i) {
    store_le(state.master, 4 * i, load_le<float>(state.master, 4 * i) + normal(random));
  }
  cast_items(Cast::kF32ToBf16, state.master, state.weight);
  CAIRN_CHECK(save_state(*store, "run/delta", state));
  for (const char* tag : {"run/0", "run/alone", "run/delta"}) {
    for (const bool makes : {false, true}) CAIRN_CHECK(measure(*store, tag, state, makes));
  }
  return {};
}

}  // namespace
}  // namespace cairn

int main(int count, char** words) {
  if (count < 2) return 64;
  const auto done = cairn::run(words[1], count > 2 ? std::stoul(words[2]) : 64);
  if (!done) std::cerr << done.error().message << '\n';
  return done ? 0 : 1;
}
