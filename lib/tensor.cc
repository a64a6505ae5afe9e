#include "lib/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/bytes.h"
#include "store/schema.h"

namespace cairn {

bool Box::is_empty() const {
  return std::any_of(lengths.begin(), lengths.end(), [](uint64_t length) { return length == 0; });
}

uint64_t Box::elements() const {
  return std::accumulate(lengths.begin(), lengths.end(), uint64_t{1}, std::multiplies<>());
}

std::string Box::text() const {
  std::string text = "[";
  for (size_t axis = 0; axis < rank(); ++axis) {
    text +=
        fmt::format("{}{}:{}", axis == 0 ? "" : ",", offsets[axis], offsets[axis] + lengths[axis]);
  }
  return text + "]";
}

Box whole_box(const Shape& shape) { return {std::vector<uint64_t>(shape.size(), 0), shape}; }

std::optional<Box> intersect(const Box& a, const Box& b) {
  Box common = a;
  for (size_t axis = 0; axis < a.rank(); ++axis) {
    const uint64_t begin = std::max(a.offsets[axis], b.offsets[axis]);
    const uint64_t end =
        std::min(a.offsets[axis] + a.lengths[axis], b.offsets[axis] + b.lengths[axis]);
    if (begin >= end) return std::nullopt;
    common.offsets[axis] = begin;
    common.lengths[axis] = end - begin;
  }
  return common;
}

bool contains(const Box& outer, const Box& inner) {
  for (size_t axis = 0; axis < outer.rank(); ++axis) {
    if (inner.offsets[axis] < outer.offsets[axis] ||
        inner.offsets[axis] + inner.lengths[axis] > outer.offsets[axis] + outer.lengths[axis]) {
      return false;
    }
  }
  return true;
}

Status check_box(const Box& box, const Shape& shape) {
  if (box.offsets.size() != shape.size() || box.lengths.size() != shape.size()) {
    return fail(Code::kUsage, fmt::format("a box of {} axes in a tensor of shape {}",
                                          box.lengths.size(), shape_text(shape)));
  }
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const auto end = checked_add(box.offsets[axis], box.lengths[axis]);
    if (!end || *end > shape[axis]) {
      return fail(Code::kUsage,
                  fmt::format("box {} leaves the shape {}", box.text(), shape_text(shape)));
    }
  }
  return {};
}

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Result<uint64_t> checked_bytes(Dtype dtype, const Shape& shape) {
  if (shape.size() > kRankMax) {
    return fail(Code::kUsage,
                fmt::format("{} axes: at most {} are possible", shape.size(), kRankMax));
  }
  const uint64_t bits = bits_per_element(dtype);
  if (bits == 0) {
    return fail(Code::kNewerFormat,
                fmt::format("dtype code {} is unknown", static_cast<int>(dtype)),
                "a newer version of cairn may know it");
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return uint64_t{0};
  const auto too_large = [&] {
    return fail(Code::kUsage, fmt::format("shape {} of {} has more than 2^63 bytes",
                                          shape_text(shape), dtype_name(dtype)));
  };
  // In units of elements per whole bytes the product of bits cannot overflow first.
  const uint64_t unit = 8 / std::gcd(bits, uint64_t{8});
  uint64_t elements = 1;
  for (const uint64_t length : shape) {
    const auto product = checked_mul(elements, length);
    if (!product) return too_large();
    elements = *product;
  }
  if (elements % unit != 0) {
    return fail(Code::kUsage, fmt::format("shape {} of {} does not fill whole bytes",
                                          shape_text(shape), dtype_name(dtype)));
  }
  const auto bytes = checked_mul(elements / unit, unit * bits / 8);
  if (!bytes || *bytes > uint64_t{1} << 63) return too_large();
  return *bytes;
}

uint64_t StorageForm::bytes() const { return whole_box(shape).elements() * item_bytes; }

Result<StorageForm> storage_form(Dtype dtype, const Shape& shape) {
  CAIRN_TRY(const uint64_t bytes, checked_bytes(dtype, shape));
  const uint64_t bits = bits_per_element(dtype);
  const uint64_t unit = 8 / std::gcd(bits, uint64_t{8});
  StorageForm form{shape, unit * bits / 8, unit, false};
  if (unit == 1) return form;
  if (!shape.empty() && shape.back() % unit == 0) {
    form.shape.back() /= unit;
    return form;
  }
  return StorageForm{{bytes}, 1, unit, true};
}

Result<Box> storage_box(const StorageForm& form, const Shape& shape, const Box& box) {
  if (form.flat) {
    if (box == whole_box(shape)) return whole_box(form.shape);
    return fail(Code::kUsage, fmt::format("box {} of sub-byte elements in rows of shape {} that "
                                          "are no whole bytes: only the whole tensor can be cut",
                                          box.text(), shape_text(shape)));
  }
  Box items = box;
  if (form.unit_elements == 1) return items;
  if (box.offsets.back() % form.unit_elements != 0 ||
      box.lengths.back() % form.unit_elements != 0) {
    return fail(Code::kUsage,
                fmt::format("box {} cuts a byte: the last axis must begin and end on multiples "
                            "of {}",
                            box.text(), form.unit_elements));
  }
  items.offsets.back() /= form.unit_elements;
  items.lengths.back() /= form.unit_elements;
  return items;
}

std::vector<int64_t> contiguous_strides(const std::vector<uint64_t>& lengths, uint64_t item_bytes) {
  std::vector<int64_t> strides(lengths.size());
  auto stride = static_cast<int64_t>(item_bytes);
  for (size_t axis = lengths.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= static_cast<int64_t>(lengths[axis]);
  }
  return strides;
}

}  // namespace cairn
