#include "lib/tensor_stream.h"

#include <algorithm>
#include <utility>

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

Status TensorStream::add(const TensorInfo& tensor, Dtype dtype, const Box& box) {
  // The stored dtype decides where slabs may be cut.
  const auto stored = static_cast<Dtype>(tensor.dtype);
  const uint64_t chunk_elements = checkpoint_.schema().chunk_elements;
  CAIRN_TRY(const StorageForm form, storage_form(stored, tensor.shape));
  CAIRN_CHECK(storage_box(form, tensor.shape, box));
  CAIRN_CHECK(grid_of(tensor, form, chunk_elements));
  CAIRN_TRY(auto slabs, cut_slabs(stored, box.lengths, chunk_elements, kBatchBytes));
  for (Box& slab : slabs) {
    for (size_t axis = 0; axis < slab.rank(); ++axis) slab.offsets[axis] += box.offsets[axis];
    CAIRN_CHECK(add_slab(tensor, dtype, slab));
  }
  return {};
}

Status TensorStream::add_slab(const TensorInfo& tensor, Dtype dtype, const Box& slab) {
  CAIRN_TRY(const uint64_t bytes, checked_bytes(dtype, slab.lengths));
  const bool is_full =
      batch_bytes_ + bytes > kBatchBytes || batch_.targets.size() >= kBatchBoxesMax;
  if (is_full) CAIRN_CHECK(flush());
  // Only an empty batch can be too small: no target points into it yet.
  if (room_.size() < batch_bytes_ + bytes) room_ = AlignedBuffer(std::max(bytes, kBatchBytes));
  batch_.targets.push_back(
      {tensor.name, dtype, tensor.shape, slab, room_.data() + batch_bytes_, {}});
  batch_bytes_ += bytes;
  return {};
}

Status TensorStream::flush() {
  if (batch_.targets.empty()) return {};
  CAIRN_CHECK(load(checkpoint_, batch_));
  const uint64_t bytes = std::exchange(batch_bytes_, 0);
  batch_.targets.clear();
  if (progress_ != nullptr) progress_->done_bytes += bytes;
  return sink_(room_.span().first(bytes));
}

}  // namespace cairn
