#include "lib/load_together.h"

#include <algorithm>
#include <optional>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "gpu/exchange.h"
#include "gpu/pass_on.h"
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

/// What takes part in a load that several ranks make.
class LoadTogether {
 public:
  LoadTogether(const RankWay& way, Checkpoint& checkpoint, const LoadRequest& request,
               const RankGroup& group)
      : way_(way),
        transport_(way.transport()),
        checkpoint_(checkpoint),
        request_(request),
        group_(group) {}

  Result<LoadResult> run() {
    note(way_.notes);
    const Status planned = guard_memory([&] { return plan(); });
    CAIRN_CHECK(gpu::agree(transport_, "checkpoint", planned, checkpoint_.tag().manifest.digest));
    CAIRN_TRY(const auto maps, gpu::gather_maps(transport_, wanted_.own()));
    wanted_.settle(maps);
    if (!wanted_.shared().empty()) CAIRN_CHECK(pass_on());
    staged_.reset();
    const Status alone = guard_memory([&] { return load_alone(); });
    CAIRN_CHECK(gpu::agree(transport_, "end", alone, {}));
    result_.bytes = plan_.bytes;
    return result_;
  }

 private:
  Status plan() {
    CAIRN_TRY(plan_, plan_load(checkpoint_, request_));
    if (request_.call.progress != nullptr) request_.call.progress->total_bytes = plan_.bytes;
    CAIRN_TRY(wanted_, WantedChunks::of(checkpoint_, plan_.targets));
    // Buckets on a device need what brings bytes there for themselves.
    if (!way_.is_on_devices()) {
      CAIRN_TRY(staged_, begin_staged_load(request_, plan_.targets));
    }
    return {};
  }

  Status pass_on() {
    std::vector<gpu::WantedBox> boxes;
    uint64_t most = gpu::BucketPlan::kBytesMost;
    for (const WantedChunks::Shared& shared : wanted_.shared()) {
      boxes.push_back(shared.box);
      most = std::max(most, shared.box.bytes);  // so that none is cut
    }
    CAIRN_TRY(const gpu::BucketPlan plan, gpu::plan_buckets(boxes, transport_.size(), most));
    auto opened = open_buckets();
    std::optional<BucketsEnd> end;
    if (opened) end.emplace(transport_, **opened);
    gpu::DeviceSpan memory;
    const Status taken =
        opened ? take_memory(plan, **opened, memory) : Status(tl::unexpected(opened.error()));
    CAIRN_CHECK(gpu::agree(transport_, "memory of buckets", taken, {}));
    PassedBuckets& buckets = **opened;
    gpu::PassOn how{buckets.streams(), memory, {}, {}, buckets.copies()};
    how.fill = [&](const gpu::Bucket& bucket, gpu::Stream stream, gpu::DeviceSpan room) {
      return fill(bucket, buckets, stream, room.data);
    };
    how.take = [&](const gpu::Bucket& bucket, gpu::Stream stream, gpu::DeviceSpan room) {
      return take(bucket, buckets, stream, room.data);
    };
    CAIRN_CHECK(gpu::pass_on(transport_, plan, how));
    return gpu::agree(transport_, "end of what was passed on", finish(buckets), {});
  }

  Result<std::unique_ptr<PassedBuckets>> open_buckets() const {
    if (way_.is_on_devices()) {
      return request_.devices.staging->open_buckets(request_.devices, group_);
    }
    return std::make_unique<HostBuckets>();
  }

  static Status take_memory(const gpu::BucketPlan& plan, PassedBuckets& buckets,
                            gpu::DeviceSpan& memory) {
    CAIRN_TRY(memory, buckets.take(gpu::pass_on_bytes(plan, buckets.streams().size())));
    return {};
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

  const RankWay& way_;
  gpu::Transport& transport_;
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
    CAIRN_TRY(const RankWay way, open_way(group, request.devices.staging));
    CAIRN_TRY(LoadResult loaded, LoadTogether(way, checkpoint, request, group).run());
    loaded.elapsed_s = watch.seconds();
    return loaded;
  });
}

}  // namespace cairn
