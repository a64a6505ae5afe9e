#include "lib/slabs.h"

#include <algorithm>

#include "base/bytes.h"
#include "lib/grid.h"

namespace cairn {

Result<std::vector<Box>> cut_slabs(Dtype dtype, const Shape& shape, uint64_t chunk_elements,
                                   uint64_t slab_bytes_max) {
  CAIRN_TRY(const StorageForm form, storage_form(dtype, shape));
  const Box whole = whole_box(shape);
  if (whole.is_empty() || shape.empty() || form.flat) return std::vector<Box>{whole};
  // The axis to cut: the first whose single index is small enough; those before it go one by one.
  uint64_t row_bytes = form.bytes();
  size_t axis = 0;
  for (; axis < form.shape.size(); ++axis) {
    row_bytes /= form.shape[axis];
    if (row_bytes <= slab_bytes_max || axis + 1 == form.shape.size()) break;
  }
  const Grid grid(form.shape, chunk_elements);
  const uint64_t tile = ceil_div(form.shape[axis], grid.parts()[axis]);
  uint64_t rows = std::max<uint64_t>(1, slab_bytes_max / row_bytes);
  if (rows > tile) rows = rows / tile * tile;
  const uint64_t unit = axis + 1 == shape.size() ? form.unit_elements : 1;
  std::vector<Box> slabs;
  std::vector<uint64_t> at(axis, 0);
  for (;;) {
    for (uint64_t row = 0; row < form.shape[axis]; row += rows) {
      Box slab = whole;
      for (size_t i = 0; i < axis; ++i) {
        slab.offsets[i] = at[i];
        slab.lengths[i] = 1;
      }
      slab.offsets[axis] = row * unit;
      slab.lengths[axis] = std::min(rows, form.shape[axis] - row) * unit;
      slabs.push_back(std::move(slab));
    }
    size_t i = axis;
    while (i > 0 && ++at[i - 1] == form.shape[i - 1]) at[--i] = 0;
    if (i == 0) return slabs;
  }
}

}  // namespace cairn
