#include "lib/load_together.h"

#include <algorithm>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "gpu/exchange.h"
#include "gpu/memory_transport.h"
#include "gpu/pass_on.h"
#include "lib/load_delivery.h"
#include "lib/wanted_chunks.h"

namespace cairn {
namespace {

constexpr size_t kUnderWay = 2;

class LoadTogether {
 public:
  LoadTogether(gpu::Transport& transport, Checkpoint& checkpoint, const LoadRequest& request)
      : transport_(transport), checkpoint_(checkpoint), request_(request) {}

  Result<LoadResult> run() {
    const Stopwatch watch;
    const Status planned = guard_memory([&] { return plan(); });
    CAIRN_CHECK(gpu::agree(transport_, "checkpoint", planned, checkpoint_.tag().manifest.digest));
    CAIRN_TRY(const auto maps, gpu::gather_maps(transport_, wanted_.own()));
    wanted_.settle(maps);
    if (!wanted_.shared().empty()) CAIRN_CHECK(pass_on());
    staged_.reset();
    const Status alone = guard_memory([&] { return load_alone(); });
    CAIRN_CHECK(gpu::agree(transport_, "end", alone, {}));
    result_.bytes = plan_.bytes;
    result_.elapsed_s = watch.seconds();
    return result_;
  }

 private:
  Status plan() {
    CAIRN_TRY(plan_, plan_load(checkpoint_, request_));
    if (request_.call.progress != nullptr) request_.call.progress->total_bytes = plan_.bytes;
    CAIRN_TRY(wanted_, WantedChunks::of(checkpoint_, plan_.targets));
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
    CAIRN_TRY(const gpu::BucketPlan buckets, gpu::plan_buckets(boxes, transport_.size(), most));
    const LoadDelivery delivery(checkpoint_, request_, plan_.targets, staged_.get());
    AlignedBuffer memory;
    const Status taken = guard_memory([&]() -> Status {
      memory = AlignedBuffer(gpu::pass_on_bytes(buckets, kUnderWay));
      return {};
    });
    const uint64_t bytes = taken ? memory.size() : 0;  // without it pass_on() fails on all ranks
    int names[kUnderWay] = {};
    std::vector<gpu::Stream> streams;
    for (int& name : names) streams.push_back({&name});
    gpu::PassOn how{streams, {memory.data(), bytes}, {}, {}};
    how.fill = [&](const gpu::Bucket& bucket, gpu::Stream, gpu::DeviceSpan room) {
      return fill(bucket, room.data);
    };
    how.take = [&](const gpu::Bucket& bucket, gpu::Stream, gpu::DeviceSpan room) {
      return take(bucket, room.data, delivery);
    };
    CAIRN_CHECK(gpu::pass_on(transport_, buckets, how));
    const Status finished = staged_ == nullptr ? Status() : staged_->finish();
    if (staged_ != nullptr) result_.notes = staged_->notes();
    return gpu::agree(transport_, "end of what was passed on", finished, {});
  }

  /// Reads what is in a bucket, as it is stored.
  Status fill(const gpu::Bucket& bucket, uint8_t* room) {
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
      }
    }
    LoadRequest reading;
    reading.call = request_.call;
    reading.call.progress = nullptr;
    return add(load_planned(checkpoint_, reading, plan));
  }

  Status take(const gpu::Bucket& bucket, const uint8_t* room, const LoadDelivery& delivery) {
    std::vector<std::pair<const WantedChunks::Chunk*, const uint8_t*>> chunks;
    for (const gpu::BucketPart& part : bucket.parts)
      for (const WantedChunks::Chunk& chunk : wanted_.shared()[part.box].chunks)
        chunks.emplace_back(&chunk, room + part.place + chunk.offset);
    return parallel_for(chunks.size(), request_.call.threads, [&](uint64_t i) -> Status {
      const auto& [chunk, data] = chunks[i];
      ReadUnit unit;
      unit.tensor = chunk->tensor;
      unit.chunk = chunk->chunk;
      unit.box = chunk->box;
      unit.targets = wanted_.targets_of(*chunk);
      return delivery.scatter(unit, {data, chunk->bytes});
    });
  }

  Status load_alone() {
    LoadPlan plan{wanted_.alone(), plan_.bytes};
    return plan.targets.empty() ? Status() : add(load_planned(checkpoint_, request_, plan));
  }

  Status add(const Result<LoadResult>& loaded) {
    if (!loaded) return tl::unexpected(loaded.error());
    result_.read_bytes += loaded->read_bytes;
    result_.chunks += loaded->chunks;
    for (const std::string& note : loaded->notes)
      if (std::find(result_.notes.begin(), result_.notes.end(), note) == result_.notes.end())
        result_.notes.push_back(note);
    return {};
  }

  gpu::Transport& transport_;
  Checkpoint& checkpoint_;
  const LoadRequest& request_;
  LoadPlan plan_;
  WantedChunks wanted_;
  std::unique_ptr<StagedLoad> staged_;  // for what is passed on
  LoadResult result_;
};

}  // namespace

Result<LoadResult> load_together(Checkpoint& checkpoint, const LoadRequest& request,
                                 const RankGroup& group) {
  return guard_memory([&]() -> Result<LoadResult> {
    CAIRN_TRY(const auto transport, gpu::MemoryTransport::make(group.host, group.timeout));
    return LoadTogether(*transport, checkpoint, request).run();
  });
}

}  // namespace cairn
