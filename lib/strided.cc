#include "lib/strided.h"

#include <cstring>

namespace cairn {

namespace {

/// The axes of a pair of strided boxes, with those that lie back to back on both sides joined.
struct Walk {
  std::vector<uint64_t> lengths;
  std::vector<int64_t> a_strides, b_strides;
  uint64_t run_bytes = 0;

  Walk(const std::vector<int64_t>& a, const std::vector<int64_t>& b,
       const std::vector<uint64_t>& box, uint64_t item_bytes)
      : run_bytes(item_bytes) {
    size_t axes = box.size();
    while (axes > 0) {
      const auto run = static_cast<int64_t>(run_bytes);
      if (box[axes - 1] != 1 && (a[axes - 1] != run || b[axes - 1] != run)) break;
      run_bytes *= box[--axes];
    }
    for (size_t axis = 0; axis < axes; ++axis) {
      if (box[axis] == 1) continue;
      lengths.push_back(box[axis]);
      a_strides.push_back(a[axis]);
      b_strides.push_back(b[axis]);
    }
  }

  /// visit(a offset, b offset) for every run, until it returns false.
  template <class Visit>
  bool for_each_run(const Visit& visit) const {
    for (const uint64_t length : lengths) {
      if (length == 0) return true;
    }
    if (run_bytes == 0) return true;
    std::vector<uint64_t> at(lengths.size(), 0);
    int64_t a = 0, b = 0;
    for (;;) {
      if (!visit(a, b)) return false;
      size_t axis = lengths.size();
      for (; axis > 0; --axis) {
        a += a_strides[axis - 1];
        b += b_strides[axis - 1];
        if (++at[axis - 1] < lengths[axis - 1]) break;
        a -= a_strides[axis - 1] * static_cast<int64_t>(lengths[axis - 1]);
        b -= b_strides[axis - 1] * static_cast<int64_t>(lengths[axis - 1]);
        at[axis - 1] = 0;
      }
      if (axis == 0) return true;
    }
  }
};

}  // namespace

void copy_box(const StridedSource& source, const StridedTarget& target,
              const std::vector<uint64_t>& lengths, uint64_t item_bytes) {
  const Walk walk(source.strides_bytes, target.strides_bytes, lengths, item_bytes);
  walk.for_each_run([&](int64_t from, int64_t to) {
    std::memcpy(target.data + to, source.data + from, walk.run_bytes);
    return true;
  });
}

std::optional<Rows> as_rows(const std::vector<int64_t>& strides_bytes,
                            const std::vector<uint64_t>& lengths, uint64_t item_bytes) {
  const Walk walk(strides_bytes, strides_bytes, lengths, item_bytes);
  Rows rows{walk.run_bytes, 0, walk.run_bytes == 0 ? uint64_t{0} : uint64_t{1}};
  for (size_t axis = walk.lengths.size(); axis-- > 0;) {
    const int64_t stride = walk.a_strides[axis];
    if (rows.rows > 1 && stride != rows.stride_bytes * static_cast<int64_t>(rows.rows)) {
      return std::nullopt;
    }
    if (rows.rows == 1) rows.stride_bytes = stride;
    rows.rows *= walk.lengths[axis];
  }
  return rows;
}

bool equal_boxes(const StridedSource& a, const StridedSource& b,
                 const std::vector<uint64_t>& lengths, uint64_t item_bytes) {
  const Walk walk(a.strides_bytes, b.strides_bytes, lengths, item_bytes);
  return walk.for_each_run([&](int64_t from, int64_t to) {
    return std::memcmp(a.data + from, b.data + to, walk.run_bytes) == 0;
  });
}

}  // namespace cairn
