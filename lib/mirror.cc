#include "lib/mirror.h"

#include "base/clock.h"
#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "lib/chunk_jobs.h"
#include "lib/mirror_plan.h"
#include "lib/staged_request.h"
#include "lib/strided.h"

namespace cairn {
namespace {

/// One update on its way.
class Update {
 public:
  Update(const SavePlan& plan, const MirrorRequest& request, std::vector<HeldDigests>& held)
      : plan_(plan), request_(request), held_(held), groups_(plan.tensors.size()) {
    for (size_t item = 0; item < groups_.size(); ++item) {
      groups_[item] = {{item}, plan.chunk_count(item)};
      if (groups_[item].chunks == 0) continue;
      (is_on_device(item) ? on_devices_ : on_host_).push_back(&groups_[item]);
    }
  }

  Status run(StagedSave* staged);

 private:
  class Steps;

  bool is_on_device(size_t item) const { return plan_.tensors[item].boxes[0].device.has_value(); }

  /// What lies in the host's memory: to compare it takes as long as to copy it.
  Status copy_rest() {
    const auto jobs = make_jobs(plan_, on_host_);
    return parallel_for(jobs.size(), request_.call.threads, [&](uint64_t job) -> Status {
      CAIRN_CHECK(check_not_stopped());
      for (const auto& [group, first, count] : jobs[job]) {
        const size_t item = group->items[0];
        const SourceBox& source = plan_.tensors[item].boxes[0];
        for (uint64_t chunk = first; chunk < first + count; ++chunk) {
          const Box box = plan_.chunk_box(item, chunk);
          copy(item, box,
               sub_box(StridedSource{source.data, source.strides_bytes}, source.box, box));
        }
      }
      return {};
    });
  }

  Status check_not_stopped() const {
    return unless_stopped(request_.call.stop, "the update of a copy");
  }

  /// To its place in the copy.
  void copy(size_t item, const Box& box, const StridedSource& from) {
    const StorageForm& form = plan_.tensors[item].form;
    const StridedTarget to{static_cast<uint8_t*>(request_.copies[item]),
                           contiguous_strides(form.shape, form.item_bytes)};
    copy_box(from, sub_box(to, whole_box(form.shape), box), box.lengths, form.item_bytes);
    count(box.elements() * form.item_bytes, true);
  }

  void count(uint64_t bytes, bool is_new) const {
    ProgressCounters* const progress = request_.call.progress;
    if (progress == nullptr) return;
    progress->done_bytes += bytes;
    if (is_new) progress->new_bytes += bytes;
  }

  const SavePlan& plan_;
  const MirrorRequest& request_;
  std::vector<HeldDigests>& held_;
  std::vector<SaveGroup> groups_;  // of one tensor each
  std::vector<const SaveGroup*> on_devices_, on_host_;
};

/// The steps of chunks on devices, for whoever brings their bytes.
class Update::Steps final : public ChunkSteps {
 public:
  Steps(Update& update, std::vector<ChunkJob> jobs) : update_(update), jobs_(std::move(jobs)) {}

  uint64_t jobs() const override { return jobs_.size(); }

  Result<std::vector<ChunkUnits>> prepare(uint64_t job) override {
    CAIRN_CHECK(update_.check_not_stopped());
    std::vector<ChunkUnits> chunks;
    for (const auto& [group, first, count] : jobs_[job]) {
      for (uint64_t chunk = first; chunk < first + count; ++chunk) {
        ChunkUnits& made = chunks.emplace_back(ChunkUnits{group, chunk, {}});
        for (Unit& unit : update_.plan_.units_of(group->items[0], chunk)) {
          const uint64_t bytes = update_.plan_.unit_bytes(unit);
          made.units.push_back({std::move(unit), {}, bytes});
        }
      }
    }
    return chunks;
  }

  Status decide(std::vector<ChunkUnits>& chunks) override {
    CAIRN_CHECK(update_.check_not_stopped());
    for (ChunkUnits& chunk : chunks) {
      for (DigestedUnit& unit : chunk.units) unit.is_wanted = held_of(unit) != unit.digest;
    }
    return {};
  }

  /// A digest is the copy's when the bytes are: an update that fails before leaves the one of what
  /// is there.
  Status store(const ChunkUnits& chunk) override {
    for (const DigestedUnit& unit : chunk.units) {
      if (!unit.is_wanted) {
        update_.count(unit.bytes, false);
        continue;
      }
      const Box& box = unit.unit.box;
      const uint64_t item_bytes = update_.plan_.tensors[unit.unit.item].form.item_bytes;
      update_.copy(unit.unit.item, box,
                   {unit.rows.data, contiguous_strides(box.lengths, item_bytes)});
      held_of(unit) = unit.digest;
    }
    return {};
  }

 private:
  std::optional<Digest>& held_of(const DigestedUnit& unit) {
    return update_.held_[unit.unit.item][unit.unit.chunk];
  }

  Update& update_;
  const std::vector<ChunkJob> jobs_;
};

Status Update::run(StagedSave* staged) {
  if (request_.call.progress != nullptr) request_.call.progress->total_bytes = plan_.logical_bytes;
  if (on_devices_.empty()) return copy_rest();
  Steps steps(*this, make_jobs(plan_, on_devices_));
  return staged->run(plan_, {}, steps, request_.call, [&] { return copy_rest(); });
}

Status check_copies(const MirrorRequest& request) {
  if (request.copies.size() != request.tensors.size()) {
    return fail(Code::kUsage, "there is not one copy for each tensor");
  }
  for (size_t i = 0; i < request.tensors.size(); ++i) {
    if (request.copies[i] == nullptr && !request.tensors[i].box.is_empty()) {
      return fail(Code::kUsage, "tensor '" + request.tensors[i].name + "' has no copy to update");
    }
  }
  return {};
}

}  // namespace

/// Begins anew where the tensors or the copy are others than before.
void Mirror::follow(const SavePlan& plan, const std::vector<void*>& copies) {
  std::vector<Followed> followed;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const PlannedTensor& tensor = plan.tensors[i];
    followed.push_back({tensor.first->name, tensor.first->dtype, tensor.form.shape, copies[i],
                        tensor.boxes[0].device});
  }
  if (followed == followed_) return;
  // Both or none: memory may run out.
  std::vector<HeldDigests> held;
  for (const PlannedTensor& tensor : plan.tensors) held.emplace_back(tensor.grid.chunk_count());
  held_ = std::move(held);
  followed_ = std::move(followed);
}

Result<MirrorResult> Mirror::update_alone(const MirrorRequest& request) {
  CAIRN_CHECK(check_copies(request));
  SaveRequest wanted;
  wanted.tensors = request.tensors;
  wanted.devices = request.devices;
  CAIRN_TRY(const auto staged, StagedRequest::of(wanted, chunk_elements_));
  CAIRN_TRY(const SavePlan plan, plan_mirror(staged.request().tensors, chunk_elements_));
  follow(plan, request.copies);
  CAIRN_CHECK(Update(plan, request, held_).run(staged.staged()));
  MirrorResult result;
  result.bytes = plan.logical_bytes;
  if (staged.staged() != nullptr) {
    result.brought_bytes = staged.staged()->brought_bytes();
    result.notes = staged.staged()->notes();
  }
  return result;
}

Result<MirrorResult> Mirror::update(const MirrorRequest& request) {
  const Stopwatch watch;
  const std::lock_guard lock(mutex_);
  auto result = guard_memory([&] { return update_alone(request); });
  if (result) result->elapsed_s = watch.seconds();
  return result;
}

}  // namespace cairn
