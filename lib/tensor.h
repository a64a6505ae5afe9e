// Shapes and boxes, and the form in which a tensor's bytes are stored (docs/FORMAT.md, section 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "lib/dtype.h"

namespace cairn {

/// Lengths of the axes, in elements; rank 0 to 16.
using Shape = std::vector<uint64_t>;

/// A part of a tensor: offsets and lengths in its global coordinates.
struct Box {
  std::vector<uint64_t> offsets, lengths;

  bool operator==(const Box&) const = default;
  size_t rank() const { return lengths.size(); }
  bool is_empty() const;
  /// REQUIRES: the product does not overflow (any box inside a checked shape).
  uint64_t elements() const;
  /// "[0:4,10:20]"
  std::string text() const;
};

Box whole_box(const Shape& shape);
/// nullopt when they share nothing. REQUIRES: equal ranks.
std::optional<Box> intersect(const Box& a, const Box& b);
bool contains(const Box& outer, const Box& inner);
/// Errors: kUsage when ranks differ or the box leaves the shape.
Status check_box(const Box& box, const Shape& shape);

/// "[2, 3]"
std::string shape_text(const Shape& shape);

/// Bytes of a whole tensor. Errors: kUsage for more than 16 axes, for more than 2^63 bytes and for
/// sub-byte elements that do not fill whole bytes; kNewerFormat for a dtype code that is none.
Result<uint64_t> checked_bytes(Dtype dtype, const Shape& shape);

/// How a tensor's bytes are addressed: items of whole bytes on a shape. For elements of at least a
/// byte that is the tensor itself; smaller ones are taken in units of whole bytes.
struct StorageForm {
  Shape shape;
  uint64_t item_bytes = 1;
  uint64_t unit_elements = 1;  ///< elements in an item
  bool flat = false;           ///< units cross rows: only the whole tensor can be addressed

  uint64_t bytes() const;
};

/// Errors: as checked_bytes.
Result<StorageForm> storage_form(Dtype dtype, const Shape& shape);
/// The box of items that holds a box of elements. REQUIRES: the box lies inside the shape.
/// Errors: kUsage when a sub-byte box does not begin and end on whole bytes.
Result<Box> storage_box(const StorageForm& form, const Shape& shape, const Box& box);

/// Byte strides of row-major items.
std::vector<int64_t> contiguous_strides(const std::vector<uint64_t>& lengths, uint64_t item_bytes);

}  // namespace cairn
