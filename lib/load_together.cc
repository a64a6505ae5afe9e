#include "lib/load_together.h"

#include <algorithm>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "gpu/exchange.h"
#include "gpu/pass_on.h"
#include "gpu/rank_talk.h"
#include "lib/host_buckets.h"
#include "lib/load_delivery.h"
#include "lib/rank_transport.h"
#include "lib/wanted_chunks.h"

namespace cairn {
namespace {

/// Sees to it, however passing on ends, that no broadcast is under way in the buckets when they go.
class BucketsEnd {
 public:
  BucketsEnd(gpu::Transport& transport, PassedBuckets& buckets)
      : transport_(transport), buckets_(buckets) {}
  BucketsEnd(const BucketsEnd&) = delete;
  BucketsEnd& operator=(const BucketsEnd&) = delete;
  ~BucketsEnd() {
    for (const gpu::Stream stream : buckets_.streams()) {
      const Status ended = guard_memory([&] { return transport_.finish(stream); });
      if (!ended && transport_.may_hang()) buckets_.abandon();
    }
  }

 private:
  gpu::Transport& transport_;
  PassedBuckets& buckets_;
};

/// What is on its way from rank to rank.
struct BucketRoom {
  std::unique_ptr<PassedBuckets> buckets;
  gpu::DeviceSpan memory;
};

/// What takes part in a load that several ranks make.
class LoadTogether {
 public:
  LoadTogether(RankWay& way, Checkpoint& checkpoint, const LoadRequest& request,
               const RankGroup& group)
      : way_(way), checkpoint_(checkpoint), request_(request), group_(group) {}

  Result<LoadResult> run() {
    note(way_.notes);
    const Status planned = guard_memory([&] { return plan(); });
    CAIRN_CHECK(
        gpu::agree(way_.transport(), "checkpoint", planned, checkpoint_.tag().manifest.digest));
    CAIRN_TRY(const auto maps, gpu::gather_maps(way_.transport(), wanted_.own()));
    wanted_.settle(maps);
    if (!wanted_.shared().empty()) CAIRN_CHECK(pass_on());
    staged_.reset();
    const Status alone = guard_memory([&] { return load_alone(); });
    CAIRN_CHECK(gpu::agree(way_.transport(), "end", alone, {}));
    result_.bytes = plan_.bytes;
    return result_;
  }

 private:
  Status plan() {
    CAIRN_TRY(plan_, plan_load(checkpoint_, request_));
    if (request_.call.progress != nullptr) request_.call.progress->total_bytes = plan_.bytes;
    CAIRN_TRY(wanted_, WantedChunks::of(checkpoint_, plan_.targets));
    // Buckets on a device need what brings bytes there for themselves.
    return way_.is_on_devices() ? Status() : stage();
  }

  Status stage() {
    CAIRN_TRY(staged_, begin_staged_load(request_, plan_.targets));
    return {};
  }

  Status pass_on() {
    std::vector<gpu::WantedBox> boxes;
    uint64_t most = gpu::BucketPlan::kBytesMost;
    for (const WantedChunks::Shared& shared : wanted_.shared()) {
      boxes.push_back(shared.box);
      most = std::max(most, shared.box.bytes);  // so that none is cut
    }
    CAIRN_TRY(const gpu::BucketPlan plan, gpu::plan_buckets(boxes, way_.transport().size(), most));
    CAIRN_TRY(const BucketRoom taken, room_on_all(plan));
    PassedBuckets& buckets = *taken.buckets;
    const BucketsEnd end(way_.transport(), buckets);
    gpu::PassOn how{buckets.streams(), taken.memory, {}, {}, buckets.copies()};
    how.fill = [&](const gpu::Bucket& bucket, gpu::Stream stream, gpu::DeviceSpan room) {
      return fill(bucket, buckets, stream, room.data);
    };
    how.take = [&](const gpu::Bucket& bucket, gpu::Stream stream, gpu::DeviceSpan room) {
      return take(bucket, buckets, stream, room.data);
    };
    CAIRN_CHECK(gpu::pass_on(way_.transport(), plan, how));
    return gpu::agree(way_.transport(), "end of what was passed on", finish(buckets), {});
  }

  /// On devices, or the host's where the device of any rank has none and the host is a way.
  Result<BucketRoom> room_on_all(const gpu::BucketPlan& plan) {
    auto taken = take_room(plan);
    // What is said over the host all know, whatever becomes of it: the next word there fails too.
    gpu::Transport& talk = way_.host != nullptr ? *way_.host : way_.transport();
    static constexpr const char* kWhat = "memory of buckets";
    const Status all = gpu::agree(talk, kWhat, gpu::status_of(taken), {});
    if (all) return taken;
    if (!way_.is_on_devices() || way_.host == nullptr) return tl::unexpected(all.error());
    note({way_.leave_devices(all.error())});
    taken = BucketRoom{};
    const Status staged = guard_memory([&] { return stage(); });
    if (staged) taken = take_room(plan);
    CAIRN_CHECK(gpu::agree(talk, kWhat, staged ? gpu::status_of(taken) : staged, {}));
    return taken;
  }

  Result<BucketRoom> take_room(const gpu::BucketPlan& plan) const {
    return guard_memory([&]() -> Result<BucketRoom> {
      BucketRoom room;
      CAIRN_TRY(room.buckets, open_buckets());
      const uint64_t bytes = gpu::pass_on_bytes(plan, room.buckets->streams().size());
      CAIRN_TRY(room.memory, room.buckets->take(bytes));
      return room;
    });
  }

  Result<std::unique_ptr<PassedBuckets>> open_buckets() const {
    if (way_.is_on_devices()) {
      return request_.devices.staging->open_buckets(request_.devices, group_);
    }
    return std::make_unique<HostBuckets>();
  }

  Status finish(PassedBuckets& buckets) {
    for (const gpu::Stream stream : buckets.streams()) CAIRN_CHECK(buckets.wait(stream));
    if (staged_ == nullptr) return {};
    CAIRN_CHECK(staged_->finish());
    note(staged_->notes());
    return {};
  }

  /// Reads what is in a bucket, as it is stored.
  Status fill(const gpu::Bucket& bucket, PassedBuckets& buckets, gpu::Stream stream,
              uint8_t* room) {
    LoadPlan plan;
    for (const gpu::BucketPart& part : bucket.parts) {
      for (const WantedChunks::Chunk& chunk : wanted_.shared()[part.box].chunks) {
        TargetBox& target = plan.targets.emplace_back();
        const TensorInfo& info = checkpoint_.schema().tensors[chunk.tensor];
        target.tensor = chunk.tensor;
        target.box = chunk.box;
        target.stored = target.wanted = static_cast<Dtype>(info.dtype);
        target.item_bytes = storage_form(target.stored, info.shape)->item_bytes;
        target.memory = {room + part.place + chunk.offset,
                         contiguous_strides(chunk.box.lengths, target.item_bytes)};
        target.device = buckets.device();
      }
    }
    LoadRequest reading;
    reading.call = request_.call;
    reading.call.progress = nullptr;
    reading.devices = request_.devices;
    CAIRN_CHECK(buckets.wait(stream));  // until what was there before is where it is wanted
    return add(load_planned(checkpoint_, reading, plan));
  }

  /// A chunk in a bucket, and what of this rank wants some of it.
  struct Taken {
    const WantedChunks::Chunk* chunk = nullptr;
    const uint8_t* data = nullptr;
    std::vector<uint32_t> targets = {};
  };

  Status take(const gpu::Bucket& bucket, PassedBuckets& buckets, gpu::Stream stream,
              const uint8_t* room) {
    std::vector<Taken> rest;
    for (const gpu::BucketPart& part : bucket.parts) {
      for (const WantedChunks::Chunk& chunk : wanted_.shared()[part.box].chunks) {
        Taken taken{&chunk, room + part.place + chunk.offset};
        for (const uint32_t number : wanted_.targets_of(chunk)) {
          const TargetBox& target = plan_.targets[number];
          if (!buckets.device() || target.device != buckets.device() ||
              target.stored != target.wanted) {
            taken.targets.push_back(number);
            continue;
          }
          CAIRN_CHECK(buckets.copy(stream, taken.data, chunk.box, target));
          count_done(chunk.box, target);
        }
        if (!taken.targets.empty()) rest.push_back(std::move(taken));
      }
    }
    return rest.empty() ? Status() : take_by_host(rest, buckets, stream);
  }

  void count_done(const Box& box, const TargetBox& target) const {
    const auto common = intersect(box, target.box);
    if (!common || request_.call.progress == nullptr) return;
    request_.call.progress->done_bytes += common->elements() * target.item_bytes;
  }

  /// Into the host's memory, other dtypes, and devices that the bucket is not on.
  Status take_by_host(const std::vector<Taken>& all, PassedBuckets& buckets, gpu::Stream stream) {
    std::unique_ptr<StagedLoad> staged;
    if (staged_ == nullptr) {
      std::vector<TargetBox> targets;
      for (const Taken& taken : all) {
        for (const uint32_t number : taken.targets) targets.push_back(plan_.targets[number]);
      }
      CAIRN_TRY(staged, begin_staged_load(request_, targets));
    }
    const LoadDelivery delivery(checkpoint_, request_, plan_.targets,
                                staged_ == nullptr ? staged.get() : staged_.get());
    CAIRN_CHECK(parallel_for(all.size(), request_.call.threads, [&](uint64_t i) -> Status {
      const Taken& taken = all[i];
      ReadUnit unit;
      unit.tensor = taken.chunk->tensor;
      unit.chunk = taken.chunk->chunk;
      unit.box = taken.chunk->box;
      unit.targets = taken.targets;
      thread_local AlignedBuffer room;
      CAIRN_TRY(const ByteSpan bytes,
                buckets.on_host(stream, {taken.data, taken.chunk->bytes}, room));
      return delivery.scatter(unit, bytes);
    }));
    if (staged == nullptr) return {};
    CAIRN_CHECK(staged->finish());
    note(staged->notes());
    return {};
  }

  Status load_alone() {
    LoadPlan plan{wanted_.alone(), plan_.bytes};
    return plan.targets.empty() ? Status() : add(load_planned(checkpoint_, request_, plan));
  }

  Status add(const Result<LoadResult>& loaded) {
    if (!loaded) return tl::unexpected(loaded.error());
    result_.read_bytes += loaded->read_bytes;
    result_.chunks += loaded->chunks;
    result_.sent_bytes += loaded->sent_bytes;
    note(loaded->notes);
    return {};
  }

  void note(const std::vector<std::string>& notes) {
    for (const std::string& note : notes)
      if (std::find(result_.notes.begin(), result_.notes.end(), note) == result_.notes.end())
        result_.notes.push_back(note);
  }

  RankWay& way_;
  Checkpoint& checkpoint_;
  const LoadRequest& request_;
  const RankGroup& group_;
  LoadPlan plan_;
  WantedChunks wanted_;
  std::unique_ptr<StagedLoad> staged_;  // for what is passed on
  LoadResult result_;
};

}  // namespace

Result<LoadResult> load_together(Checkpoint& checkpoint, const LoadRequest& request,
                                 const RankGroup& group) {
  return guard_memory([&]() -> Result<LoadResult> {
    const Stopwatch watch;
    CAIRN_TRY(RankWay way, open_way(group, request.devices.staging));
    CAIRN_TRY(LoadResult loaded, LoadTogether(way, checkpoint, request, group).run());
    loaded.elapsed_s = watch.seconds();
    return loaded;
  });
}

}  // namespace cairn
