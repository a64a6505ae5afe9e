// The plan of a save: which chunks there are, and where in memory their bytes lie. Made from the
// request alone, so everything that is wrong with the request is found before a byte is written.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/chunk_sources.h"
#include "lib/grid.h"
#include "lib/tensor.h"
#include "store/config.h"
#include "store/layout.h"
#include "store/page_plan.h"
#include "store/schema.h"

namespace cairn {

/// A box of memory in storage coordinates.
struct SourceBox {
  Box box;
  const uint8_t* data = nullptr;
  std::vector<int64_t> strides_bytes;
  uint32_t writer = 0;
};

/// Errors: kUsage for a box outside the shape, other strides than axes, no data.
Result<SourceBox> source_box(const StorageForm& form, const TensorSource& source);

struct PlannedTensor {
  const TensorSource* first = nullptr;  ///< name, dtype and shape
  StorageForm form;
  Grid grid;
  std::vector<SourceBox> boxes;
  ChunkSources sources;
};

/// What is digested and stored as one: a chunk, or the piece of a chunk that one writer holds.
struct Unit {
  size_t item = 0;  ///< tensor, or tensor count + attachment
  uint64_t chunk = 0;
  bool is_piece = false;
  Box box;                      ///< in storage coordinates; of an attachment: offset and length
  std::vector<size_t> sources;  ///< boxes of the tensor that together hold it
};

struct SavePlan {
  std::vector<PlannedTensor> tensors;  ///< in schema order
  std::vector<AttachmentSource> attachments;
  Schema schema;
  std::vector<AttachmentInfo> attachment_infos;
  PagePlan pages;
  std::optional<Layout> layout;  ///< unset when one writer held every tensor whole
  uint64_t logical_bytes = 0;
  uint64_t attachment_bytes = 0;
  uint64_t opaque_chunk_bytes = 0;

  /// The unit or units of one chunk, in the order of their copies.
  std::vector<Unit> units_of(size_t item, uint64_t chunk) const;
  uint64_t unit_bytes(const Unit& unit) const;
};

/// Errors: kUsage naming tensor and boxes: malformed names, dtypes or shapes that differ between
/// the boxes of a tensor, boxes outside it, holes, overlaps that disagree.
Result<SavePlan> plan_save(const SaveRequest& request, const Config& config);

}  // namespace cairn
