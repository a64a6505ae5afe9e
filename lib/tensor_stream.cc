#include "lib/tensor_stream.h"

#include <algorithm>
#include <utility>

#include "base/memory_guard.h"
#include "lib/grid.h"
#include "lib/slabs.h"

namespace cairn {

static constexpr uint64_t kBatchBytes = 64 * kMiB;
/// The plan of a load takes about a kilobyte for each.
static constexpr size_t kBatchBoxesMax = 4096;

TensorStream::TensorStream(Checkpoint& checkpoint, const CallOptions& call, Sink sink)
    : checkpoint_(checkpoint), progress_(call.progress), sink_(std::move(sink)) {
  batch_.cast = true;
  batch_.call = call;
  // A load would take its own part for the whole.
  batch_.call.progress = nullptr;
}

/// The slabs of a box, in the tensor's coordinates.
Result<std::vector<Box>> TensorStream::cut(const TensorInfo& tensor, const Box& box,
                                           uint64_t bytes_max) const {
  // The stored dtype decides where slabs may be cut.
  const auto stored = static_cast<Dtype>(tensor.dtype);
  const uint64_t chunk_elements = checkpoint_.schema().chunk_elements;
  CAIRN_TRY(const StorageForm form, storage_form(stored, tensor.shape));
  CAIRN_CHECK(storage_box(form, tensor.shape, box));
  CAIRN_CHECK(grid_of(tensor, form, chunk_elements));
  CAIRN_TRY(auto slabs, cut_slabs(stored, box.lengths, chunk_elements, bytes_max));
  for (Box& slab : slabs) {
    for (size_t axis = 0; axis < slab.rank(); ++axis) slab.offsets[axis] += box.offsets[axis];
  }
  return slabs;
}

Status TensorStream::add(const TensorInfo& tensor, Dtype dtype, const Box& box, uint64_t at) {
  CAIRN_TRY(const auto slabs, cut(tensor, box, kBatchBytes));
  for (const Box& slab : slabs) CAIRN_CHECK(add_slab(tensor, dtype, slab, at));
  return {};
}

Status TensorStream::add_together(const std::vector<Placed>& tensors) {
  uint64_t bits = 0;
  for (const Placed& each : tensors)
    bits += bits_per_element(static_cast<Dtype>(each.tensor->dtype));
  std::vector<std::vector<Box>> slabs;
  std::vector<uint64_t> at;
  size_t rounds = 0;
  for (const auto& [tensor, dtype, where] : tensors) {
    const uint64_t share = bits_per_element(static_cast<Dtype>(tensor->dtype));
    CAIRN_TRY(slabs.emplace_back(),
              cut(*tensor, whole_box(tensor->shape), kBatchBytes * share / bits));
    at.push_back(where);
    rounds = std::max(rounds, slabs.back().size());
  }
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (round >= slabs[i].size()) continue;
      CAIRN_CHECK(add_slab(*tensors[i].tensor, tensors[i].dtype, slabs[i][round], at[i]));
    }
  }
  return {};
}

Status TensorStream::add_slab(const TensorInfo& tensor, Dtype dtype, const Box& slab,
                              uint64_t& at) {
  CAIRN_TRY(const uint64_t bytes, checked_bytes(dtype, slab.lengths));
  const bool is_full =
      batch_bytes_ + bytes > kBatchBytes || batch_.targets.size() >= kBatchBoxesMax;
  if (is_full) CAIRN_CHECK(pass_on());
  // Only an empty batch can be too small: no target points into it yet.
  if (room_.size() < batch_bytes_ + bytes) room_ = AlignedBuffer(std::max(bytes, kBatchBytes));
  batch_.targets.push_back(
      {tensor.name, dtype, tensor.shape, slab, room_.data() + batch_bytes_, {}});
  batch_bytes_ += bytes;
  const bool goes_on = !runs_.empty() && runs_.back().at + runs_.back().bytes == at;
  if (!goes_on) runs_.push_back({at, 0});
  runs_.back().bytes += bytes;
  at += bytes;
  return {};
}

Status TensorStream::pass_on() {
  if (batch_.targets.empty()) return {};
  CAIRN_CHECK(load(checkpoint_, batch_));
  const uint64_t bytes = std::exchange(batch_bytes_, 0);
  batch_.targets.clear();
  if (progress_ != nullptr) progress_->done_bytes += bytes;
  CAIRN_CHECK(wait());
  std::swap(room_, other_room_);
  return guard_memory([&]() -> Status {
    handing_ = std::async(std::launch::async, [this, runs = std::exchange(runs_, {})] {
      return guard_memory([&] { return hand_over(runs); });
    });
    return {};
  });
}

Status TensorStream::hand_over(const std::vector<Run>& runs) {
  uint64_t begin = 0;
  for (const Run& run : runs) {
    CAIRN_CHECK(sink_(run.at, other_room_.span().subspan(begin, run.bytes)));
    begin += run.bytes;
  }
  return {};
}

Status TensorStream::wait() { return handing_.valid() ? handing_.get() : Status(); }

Status TensorStream::flush() {
  CAIRN_CHECK(pass_on());
  return wait();
}

}  // namespace cairn
