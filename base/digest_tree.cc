#include "base/digest_tree.h"

#include <algorithm>
#include <cstring>

namespace cairn {

RowCursor::RowCursor(const DigestInput& input)
    : row_(input.data),
      row_bytes_(input.row_bytes),
      stride_bytes_(input.stride_bytes),
      bytes_left_(input.row_bytes * input.rows) {
  if (input.stride_bytes >= 0 && static_cast<uint64_t>(input.stride_bytes) == input.row_bytes) {
    row_bytes_ = bytes_left_;
  }
}

const uint8_t* RowCursor::take(size_t bytes, uint8_t* scratch) {
  if (bytes == 0) return scratch;
  bytes_left_ -= bytes;
  if (offset_ == row_bytes_) {
    row_ += stride_bytes_;
    offset_ = 0;
  }
  if (bytes <= row_bytes_ - offset_) {
    const uint8_t* begin = row_ + offset_;
    offset_ += bytes;
    return begin;
  }
  for (size_t done = 0; done < bytes;) {
    if (offset_ == row_bytes_) {
      row_ += stride_bytes_;
      offset_ = 0;
    }
    const size_t part = std::min<uint64_t>(bytes - done, row_bytes_ - offset_);
    std::memcpy(scratch + done, row_ + offset_, part);
    done += part;
    offset_ += part;
  }
  return scratch;
}

void DigestWindow::add(RowCursor& input, uint64_t first_leaf, size_t leaves, bool is_root,
                       Digest& out) {
  const uint32_t root_flag = is_root ? uint32_t{kDigestRoot} : 0;
  if (leaves == 1) {
    add_leaf(input, first_leaf, root_flag, out.bytes.data());
    return;
  }
  for (size_t i = 0; i < leaves; ++i) {
    add_leaf(input, first_leaf + i, 0, even_levels_[leaves_ + i].bytes.data());
  }
  subtrees_[subtree_count_++] = {leaves, root_flag, out.bytes.data()};
  leaves_ += leaves;
}

void DigestWindow::add_leaf(RowCursor& input, uint64_t leaf, uint32_t root_flag, uint8_t* value) {
  const auto bytes =
      static_cast<uint32_t>(std::min<uint64_t>(kDigestLeafBytes, input.bytes_left()));
  const bool is_whole = bytes == kDigestLeafBytes;
  LaneQueue& queue = is_whole ? whole_leaves_ : short_leaves_;
  Scratch& scratch = is_whole ? whole_scratch_ : short_scratch_;
  const uint8_t* data = input.take(bytes, scratch[queue.count()].data());
  queue.add({data, value, leaf, bytes, 0, kDigestLeafStart, kDigestLeafEnd | root_flag});
}

void DigestWindow::finish() {
  whole_leaves_.flush();
  short_leaves_.flush();
  while (subtree_count_ > 0) {
    hash_level(even_levels_.data(), odd_levels_.data());
    hash_level(odd_levels_.data(), even_levels_.data());
  }
  leaves_ = 0;
}

/// Neighbours become parents, a last node without one moves up: on whole subtrees from the left
/// this is the tree of the paper, whose left sides are the largest powers of two.
void DigestWindow::hash_level(const Value* from, Value* to) {
  size_t kept = 0;
  for (size_t i = 0; i < subtree_count_; ++i) {
    Subtree tree = subtrees_[i];
    const size_t pairs = tree.nodes / 2;
    if (tree.nodes == 2) {
      parents_.add({from->bytes.data(), tree.out, 0, 2 * kDigestValueBytes, kDigestParent, 0,
                    tree.root_flag});
      from += 2;
      continue;
    }
    for (size_t pair = 0; pair < pairs; ++pair, from += 2, ++to) {
      parents_.add(
          {from->bytes.data(), to->bytes.data(), 0, 2 * kDigestValueBytes, kDigestParent, 0, 0});
    }
    if (tree.nodes % 2 != 0) *to++ = *from++;
    tree.nodes -= pairs;
    subtrees_[kept++] = tree;
  }
  parents_.flush();
  subtree_count_ = kept;
}

void hash_parent(const Digest& left, const Digest& right, bool is_root, Digest& out) {
  std::array<uint8_t, 2 * kDigestValueBytes> values;
  std::copy(left.bytes.begin(), left.bytes.end(), values.begin());
  std::copy(right.bytes.begin(), right.bytes.end(), values.begin() + kDigestValueBytes);
  const DigestLane lane = {values.data(),
                           out.bytes.data(),
                           0,
                           2 * kDigestValueBytes,
                           kDigestParent,
                           0,
                           is_root ? uint32_t{kDigestRoot} : 0};
  kDigestPortable.hash(&lane, 1);
}

}  // namespace cairn
