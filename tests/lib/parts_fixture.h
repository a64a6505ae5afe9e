// Saves by several ranks, each of which stores its boxes as a part.
#pragma once

#include <memory>

#include "lib/save_part.h"
#include "tests/lib/series_fixture.h"

namespace cairn {

/// What each rank saves.
using RankRequests = std::vector<SaveRequest>;
using SavedParts = std::vector<std::unique_ptr<SavedPart>>;

class PartsFixture : public SeriesFixture {
 protected:
  /// A box of a tensor where it lies in the whole's memory.
  static TensorSource box_of(const std::string& name, const HeldTensor& tensor, const Box& box,
                             uint32_t writer) {
    const StorageForm form = *storage_form(tensor.dtype, tensor.shape);
    const Box items = *storage_box(form, tensor.shape, box);
    TensorSource source{name, tensor.dtype, tensor.shape, box, nullptr,
                        contiguous_strides(form.shape, form.item_bytes)};
    uint64_t offset = 0;
    for (size_t axis = 0; axis < items.rank(); ++axis) {
      offset += items.offsets[axis] * static_cast<uint64_t>(source.strides_bytes[axis]);
    }
    source.data = tensor.bytes.data() + offset;
    source.writer = writer;
    source.role = tensor.role;
    source.parameter = tensor.parameter;
    return source;
  }

  /// Each rank has the boxes that are its own; what is not cut has the first.
  static RankRequests cut_by_writer(const SaveRequest& whole, uint32_t ranks) {
    RankRequests requests(ranks, whole);
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      std::erase_if(requests[rank].tensors,
                    [&](const TensorSource& source) { return source.writer != rank; });
      if (rank > 0) requests[rank].attachments.clear();
    }
    return requests;
  }

  SavedParts store_parts(const RankRequests& requests) const {
    SavedParts parts;
    for (const SaveRequest& request : requests) {
      auto part = save_part(*store_, request);
      EXPECT_TRUE(succeeds(part));
      if (part) parts.push_back(*std::move(part));
    }
    return parts;
  }

  static SaveRequest uniting(const SaveRequest& like, const SavedParts& parts) {
    SaveRequest request = like;
    request.tensors.clear();
    request.attachments.clear();
    request.base_memory.clear();
    for (const auto& part : parts) request.parts.push_back(part->name());
    return request;
  }
  static void keep_all(SavedParts& parts) {
    for (const auto& part : parts) part->keep();
    parts.clear();
  }

  /// All of a save by ranks. Without ranks' `base` in common, none.
  Result<SaveResult> save_together(const RankRequests& requests) const {
    SavedParts parts = store_parts(requests);
    auto saved = save(*store_, uniting(requests.front(), parts));
    keep_all(parts);
    return saved;
  }

  std::vector<std::string> files_in(const std::string& folder) const {
    std::vector<std::string> paths;
    const auto entries = posix_fs().list(path() + "/" + folder);
    if (!entries) return paths;
    for (const FolderEntry& entry : *entries) {
      const std::string inside = folder + "/" + entry.name;
      if (entry.is_file) {
        paths.push_back(inside);
      } else {
        const auto deeper = files_in(inside);
        paths.insert(paths.end(), deeper.begin(), deeper.end());
      }
    }
    return paths;
  }

  void collect_all() {
    const auto report = collect(*store_, GcRequest{});
    ASSERT_TRUE(succeeds(report));
    EXPECT_TRUE(report->failures.empty());
  }
};

}  // namespace cairn
