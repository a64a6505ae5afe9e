// What changed from tag to tag: for each row of tensors and each column of tags, how many chunks
// there are and how many of them the previous tag of the same prefix does not have at their place.
#pragma once

#include <atomic>
#include <vector>

#include "lib/tag_columns.h"
#include "lib/tensor_groups.h"
#include "store/store.h"

namespace cairn {

struct ChangeCell {
  uint64_t chunks = 0;      ///< compared
  uint64_t new_chunks = 0;  ///< of those, with another identity, or of a tensor that was not there
  uint64_t first_chunks = 0;  ///< of tags without a previous one: not compared
};

struct ChangeMap {
  std::vector<TensorGroup> rows;
  size_t columns = 0;
  std::vector<ChangeCell> cells;  ///< row by row
  uint64_t pages_read = 0;

  const ChangeCell& at(size_t row, size_t column) const { return cells[row * columns + column]; }
};

/// Reads metadata only. A chunk that is whole in one tag and in pieces in the other counts as new.
/// Memory: the names of all tensors, and about 16 bytes for each chunk of the largest tag.
/// Errors: kCorrupt, kCancelled.
Result<ChangeMap> map_changes(const Store& store, const TagColumns& tags, size_t rows_max,
                              const std::atomic<bool>* stop);

}  // namespace cairn
