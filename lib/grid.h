// The chunk grid of a tensor: a pure function of its storage shape and the store's chunk_elements
// (docs/FORMAT.md, section 5), never of how the tensor is sharded.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lib/tensor.h"
#include "store/schema.h"

namespace cairn {

class Grid {
 public:
  Grid() = default;
  /// REQUIRES: the product of `shape` does not overflow; chunk_elements is a power of two >= 1024.
  Grid(const Shape& shape, uint64_t chunk_elements);

  const Shape& shape() const { return shape_; }
  const std::vector<uint64_t>& parts() const { return parts_; }
  uint64_t chunk_count() const { return chunk_count_; }
  /// REQUIRES: chunk < chunk_count().
  Box chunk_box(uint64_t chunk) const;
  /// Chunks that share an element with the box, in increasing order.
  void for_each_chunk(const Box& box, const std::function<void(uint64_t chunk)>& visit) const;

 private:
  uint64_t edge(size_t axis, uint64_t number) const;
  uint64_t part_of(size_t axis, uint64_t coordinate) const;

  Shape shape_;
  std::vector<uint64_t> parts_;
  uint64_t chunk_count_ = 0;
};

/// The grid of a stored tensor. Errors: kCorrupt when the schema counts other chunks.
Result<Grid> grid_of(const TensorInfo& tensor, const StorageForm& form, uint64_t chunk_elements);

}  // namespace cairn
