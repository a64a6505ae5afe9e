// The tree over the leaves of a digest, level by level: a window collects subtrees, of one input or
// of many, and hashes their nodes in full lanes. Private to base/digest.cc. Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>

#include "base/digest.h"
#include "base/digest_kernel.h"

namespace cairn {

/// Hands out the bytes of an input in order. Bytes are not copied unless they cross rows.
class RowCursor {
 public:
  explicit RowCursor(const DigestInput& input);
  uint64_t bytes_left() const { return bytes_left_; }
  /// The next `bytes`, in the input or else in `scratch`. REQUIRES: bytes <= bytes_left().
  const uint8_t* take(size_t bytes, uint8_t* scratch);

 private:
  const uint8_t* row_;
  uint64_t row_bytes_;
  int64_t stride_bytes_;
  uint64_t offset_ = 0;  // in the row
  uint64_t bytes_left_;
};

/// Nodes waiting for a call of the kernel.
class LaneQueue {
 public:
  explicit LaneQueue(const DigestKernel& kernel) : kernel_(kernel) {}
  size_t count() const { return count_; }
  void add(const DigestLane& lane) {
    lanes_[count_++] = lane;
    if (count_ == kernel_.lanes) flush();
  }
  void flush() {
    // A lone node is faster without lanes: nothing to transpose.
    if (count_ > 0) (count_ == 1 ? kDigestPortable : kernel_).hash(lanes_.data(), count_);
    count_ = 0;
  }

 private:
  const DigestKernel& kernel_;
  size_t count_ = 0;
  std::array<DigestLane, kDigestLanesMax> lanes_;
};

class DigestWindow {
 public:
  static constexpr size_t kLeavesMax = 256;  // two levels of values are 12 KiB, in the first cache

  explicit DigestWindow(const DigestKernel& kernel)
      : parents_(kernel), whole_leaves_(kernel), short_leaves_(kernel) {}
  bool has_room(uint64_t leaves) const { return leaves_ + leaves <= kLeavesMax; }

  /// Adds the next `leaves` of an input as one subtree; its value is in `out` after finish().
  /// REQUIRES: has_room(leaves); all leaves but the input's last are whole.
  void add(RowCursor& input, uint64_t first_leaf, size_t leaves, bool is_root, Digest& out);
  /// Hashes what was added; the window is empty again.
  void finish();

 private:
  struct Subtree {
    size_t nodes;  // of the present level, at least 2
    uint32_t root_flag;
    uint8_t* out;
  };
  struct Value {
    std::array<uint8_t, kDigestValueBytes> bytes;
  };
  using Scratch = std::array<std::array<uint8_t, kDigestLeafBytes>, kDigestLanesMax>;

  void add_leaf(RowCursor& input, uint64_t leaf, uint32_t root_flag, uint8_t* value);
  void hash_level(const Value* from, Value* to);

  LaneQueue parents_, whole_leaves_, short_leaves_;  // apart: lanes of one length go fastest
  size_t leaves_ = 0;
  size_t subtree_count_ = 0;
  std::array<Subtree, kLeavesMax / 2> subtrees_;
  std::array<Value, kLeavesMax> even_levels_;
  std::array<Value, kLeavesMax / 2> odd_levels_;
  Scratch whole_scratch_, short_scratch_;
};

/// The value of two subtrees.
void hash_parent(const Digest& left, const Digest& right, bool is_root, Digest& out);

}  // namespace cairn
