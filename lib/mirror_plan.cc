#include "lib/mirror_plan.h"

#include <fmt/format.h>

#include "lib/strided.h"

namespace cairn {

/// In storage coordinates that begin with the box.
static Result<SourceBox> own_box(const StorageForm& form, const TensorSource& source) {
  CAIRN_TRY(SourceBox box, source_box(form, source));
  if (box.data == nullptr && !box.box.is_empty()) {
    return fail(Code::kUsage, fmt::format("box {} has no data", box.box.text()));
  }
  const auto rows = as_rows(box.strides_bytes, box.box.lengths, form.item_bytes);
  if (rows && rows->rows == 1) {
    box.box.lengths = {box.box.elements()};
    box.strides_bytes = {static_cast<int64_t>(form.item_bytes)};
  }
  box.box = whole_box(box.box.lengths);
  return box;
}

static Result<PlannedTensor> planned(const TensorSource& source, uint64_t chunk_elements) {
  PlannedTensor tensor;
  tensor.first = &source;
  CAIRN_TRY(tensor.form, storage_form(source.dtype, source.shape));
  CAIRN_TRY(SourceBox box, own_box(tensor.form, source));
  tensor.form.shape = box.box.lengths;
  tensor.grid = Grid(tensor.form.shape, chunk_elements);
  tensor.sources = ChunkSources(tensor.grid, {box.box});
  tensor.boxes.push_back(std::move(box));
  return tensor;
}

Result<SavePlan> plan_mirror(std::span<const TensorSource> tensors, uint64_t chunk_elements) {
  SavePlan plan;
  for (const TensorSource& source : tensors) {
    auto tensor = planned(source, chunk_elements);
    if (!tensor) {
      const Error& error = tensor.error();
      return fail(error.code, fmt::format("tensor '{}': {}", source.name, error.message),
                  error.hint);
    }
    plan.logical_bytes += tensor->form.bytes();
    plan.tensors.push_back(*std::move(tensor));
  }
  return plan;
}

}  // namespace cairn
