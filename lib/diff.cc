#include "lib/diff.h"

#include <algorithm>

#include "lib/cairn.hpp"
#include "lib/describe.h"
#include "lib/grid.h"

namespace cairn {
namespace {

class TensorDiff {
 public:
  TensorDiff(Checkpoint& a, Checkpoint& b, bool elements) : a_(a), b_(b), elements_(elements) {}

  Result<ChangedTensor> compare(size_t in_a, size_t in_b) {
    const TensorInfo& tensor = a_.schema().tensors[in_a];
    dtype_ = static_cast<Dtype>(tensor.dtype);
    CAIRN_TRY(form_, storage_form(dtype_, tensor.shape));
    CAIRN_TRY(grid_, grid_of(tensor, form_, a_.schema().chunk_elements));
    CAIRN_CHECK(grid_of(b_.schema().tensors[in_b], form_, b_.schema().chunk_elements));
    ChangedTensor changed;
    changed.name = tensor.name;
    changed.chunks = tensor.chunk_count;
    changed.bytes = form_.bytes();
    for (uint64_t chunk = 0; chunk < tensor.chunk_count; ++chunk) {
      CAIRN_TRY(const bool equal, equal_entries(in_a, in_b, chunk));
      if (equal) continue;
      CAIRN_TRY(const bool must_count, is_counted(in_a, in_b, chunk));
      uint64_t elements = 0;
      if (must_count) {
        CAIRN_TRY(elements, count_elements(tensor, chunk));
        if (elements == 0) continue;
      }
      ++changed.changed_chunks;
      changed.changed_bytes += grid_.chunk_box(chunk).elements() * form_.item_bytes;
      changed.changed_elements += elements;
    }
    return changed;
  }

 private:
  /// Equal pages hold equal entries at equal places: they need not be looked into.
  Result<bool> equal_entries(size_t in_a, size_t in_b, uint64_t chunk) {
    const auto place_a = a_.plan().place(in_a, chunk), place_b = b_.plan().place(in_b, chunk);
    if (place_a.entry == place_b.entry &&
        a_.table().pages[place_a.page].page.digest == b_.table().pages[place_b.page].page.digest) {
      return true;
    }
    CAIRN_TRY(const auto page_a, a_.page(place_a.page));
    CAIRN_TRY(const auto page_b, b_.page(place_b.page));
    return page_a->page.entries[place_a.entry] == page_b->page.entries[place_b.entry];
  }

  /// Whether the elements of a chunk whose entries differ must be looked at: someone wants their
  /// number, or one side is in pieces, so that the bytes may be the same all the same.
  Result<bool> is_counted(size_t in_a, size_t in_b, uint64_t chunk) {
    if (elements_) return true;
    const auto place_a = a_.plan().place(in_a, chunk), place_b = b_.plan().place(in_b, chunk);
    CAIRN_TRY(const auto page_a, a_.page(place_a.page));
    CAIRN_TRY(const auto page_b, b_.page(place_b.page));
    return std::holds_alternative<std::vector<Piece>>(page_a->page.entries[place_a.entry]) ||
           std::holds_alternative<std::vector<Piece>>(page_b->page.entries[place_b.entry]);
  }

  Result<uint64_t> count_elements(const TensorInfo& tensor, uint64_t chunk) {
    CAIRN_TRY(const Bytes bytes_a, load_chunk(a_, tensor, chunk));
    CAIRN_TRY(const Bytes bytes_b, load_chunk(b_, tensor, chunk));
    return differing_elements(bytes_a, bytes_b);
  }

  Result<Bytes> load_chunk(Checkpoint& checkpoint, const TensorInfo& tensor, uint64_t chunk) {
    Box box = grid_.chunk_box(chunk);
    if (form_.flat) {
      // Only the whole tensor can be addressed.
      Bytes whole(form_.bytes());
      CAIRN_CHECK(load_box(checkpoint, tensor, whole_box(tensor.shape), whole));
      const auto begin = whole.begin() + static_cast<ptrdiff_t>(box.offsets[0]);
      return Bytes(begin, begin + static_cast<ptrdiff_t>(box.lengths[0]));
    }
    Bytes bytes(box.elements() * form_.item_bytes);
    if (box.rank() > 0) {
      box.offsets.back() *= form_.unit_elements;
      box.lengths.back() *= form_.unit_elements;
    }
    CAIRN_CHECK(load_box(checkpoint, tensor, box, bytes));
    return bytes;
  }

  Status load_box(Checkpoint& checkpoint, const TensorInfo& tensor, const Box& box,
                  MutableBytes bytes) {
    LoadRequest request;
    request.targets.push_back({tensor.name, dtype_, tensor.shape, box, bytes.data(), {}});
    CAIRN_CHECK(load(checkpoint, request));
    return {};
  }

  uint64_t differing_elements(const Bytes& a, const Bytes& b) const {
    const uint32_t bits = bits_per_element(dtype_);
    uint64_t count = 0;
    if (bits >= 8) {
      const size_t step = bits / 8;
      for (size_t i = 0; i < a.size(); i += step) {
        count += std::memcmp(a.data() + i, b.data() + i, step) != 0;
      }
      return count;
    }
    // Sub-byte elements, the lowest bits first.
    for (uint64_t bit = 0; bit < a.size() * 8; bit += bits) {
      bool differs = false;
      for (uint64_t at = bit; at < bit + bits; ++at) {
        differs = differs || ((a[at / 8] ^ b[at / 8]) >> at % 8 & 1) != 0;
      }
      count += differs;
    }
    return count;
  }

  Checkpoint& a_;
  Checkpoint& b_;
  const bool elements_;
  Dtype dtype_ = Dtype::kU8;
  StorageForm form_;
  Grid grid_;
};

}  // namespace

/// All tags of a store cut by one rule, so that other edges are other bytes; and never in pieces.
static Result<bool> equal_attachments(Checkpoint& a, size_t in_a, Checkpoint& b, size_t in_b) {
  if (a.attachment(in_a).edges != b.attachment(in_b).edges) return false;
  for (uint64_t chunk = 0; chunk < a.chunk_count(in_a); ++chunk) {
    const auto place_a = a.plan().place(in_a, chunk), place_b = b.plan().place(in_b, chunk);
    CAIRN_TRY(const auto page_a, a.page(place_a.page));
    CAIRN_TRY(const auto page_b, b.page(place_b.page));
    if (page_a->page.entries[place_a.entry] != page_b->page.entries[place_b.entry]) return false;
  }
  return true;
}

static Result<AttachmentDiff> diff_attachments(Checkpoint& a, Checkpoint& b) {
  AttachmentDiff result;
  for (const AttachmentInfo& attachment : a.manifest().attachments) {
    const auto in_a = a.find_attachment(attachment.name);
    const auto in_b = b.find_attachment(attachment.name);
    if (!in_b) {
      result.removed.push_back(attachment.name);
      continue;
    }
    CAIRN_TRY(const bool equal, equal_attachments(a, *in_a, b, *in_b));
    if (!equal) result.changed.push_back(attachment.name);
  }
  for (const AttachmentInfo& attachment : b.manifest().attachments) {
    if (!a.find_attachment(attachment.name)) result.added.push_back(attachment.name);
  }
  return result;
}

Result<DiffResult> diff(Checkpoint& a, Checkpoint& b, const DiffRequest& request) {
  DiffResult result;
  const auto wants = [&](const std::string& name) { return !request.wants || request.wants(name); };
  CAIRN_TRY(const Layout layout, b.layout());
  TensorDiff tensor_diff(a, b, request.elements);
  const auto& in_a = a.schema().tensors;
  for (size_t i = 0; i < in_a.size(); ++i) {
    const TensorInfo& tensor = in_a[i];
    if (!wants(tensor.name)) continue;
    const auto number = b.find_tensor(tensor.name);
    if (!number) {
      result.removed.push_back(tensor.name);
      continue;
    }
    const TensorInfo& other = b.schema().tensors[*number];
    if (other.shape != tensor.shape || other.dtype != tensor.dtype) {
      result.reshaped.push_back(tensor.name);
      continue;
    }
    ++result.tensors;
    CAIRN_TRY(ChangedTensor changed, tensor_diff.compare(i, *number));
    if (changed.changed_chunks == 0) continue;
    changed.tensor_class = tensor_class(layout, *number);
    result.changed.push_back(std::move(changed));
  }
  for (const TensorInfo& tensor : b.schema().tensors) {
    if (wants(tensor.name) && !a.find_tensor(tensor.name)) result.added.push_back(tensor.name);
  }
  if (!request.beyond_tensors) return result;
  CAIRN_TRY(result.attachments, diff_attachments(a, b));
  const Manifest &of_a = a.manifest(), &of_b = b.manifest();
  result.metadata_changed =
      of_a.metadata != of_b.metadata || of_a.file_metadata != of_b.file_metadata;
  result.step_changed = of_a.step != of_b.step;
  return result;
}

}  // namespace cairn
