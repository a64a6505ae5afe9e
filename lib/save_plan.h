// The plan of a save: which chunks there are, and where in memory their bytes lie. Made from the
// request alone, so everything that is wrong with the request is found before a byte is written.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/chunk_sources.h"
#include "lib/grid.h"
#include "lib/part.h"
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
  std::optional<uint32_t> device = {};  ///< whose memory it is; unset: the host's
  /// The part of the save that has stored it; unset: its bytes are here.
  std::optional<uint32_t> part = {};
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
  Box box = {};  ///< in storage coordinates; of an attachment: offset and length
  std::vector<size_t> sources = {};  ///< boxes of the tensor that together hold it
};

/// A unit of a part that another rank stores.
struct LeftUnit {
  static constexpr size_t kWhole = SIZE_MAX;
  size_t item = 0;
  uint64_t chunk = 0;
  size_t source = kWhole;  ///< of a piece: the box

  auto operator<=>(const LeftUnit&) const = default;
};

/// What a save has: all of a tag; what one process has of it; or what several have stored.
enum class SaveKind : uint8_t {
  kWhole,
  kPart,    ///< boxes need not cover their tensors
  kMerged,  ///< all tensors, and some attachments, are in parts
};

struct SavePlan {
  SaveKind kind = SaveKind::kWhole;
  std::deque<TensorSource> told_by_parts;  ///< without data; PlannedTensor::first points to them
  std::vector<PlannedTensor> tensors;      ///< in schema order
  std::vector<AttachmentSource> attachments;
  std::vector<std::optional<uint32_t>> attachment_parts;  ///< per attachment, the part that has it
  Schema schema;
  std::vector<AttachmentInfo> attachment_infos;
  PagePlan pages;
  std::optional<Layout> layout;  ///< unset when one writer held every tensor whole
  std::vector<LeftUnit> left;    ///< in order
  uint64_t logical_bytes = 0;    ///< of a part: those of its boxes that it stores
  uint64_t attachment_bytes = 0;

  /// Of a tensor, or of an attachment.
  const std::string& name(size_t item) const;
  uint64_t chunk_count(size_t item) const;
  /// In storage coordinates; of an attachment: offset and length.
  Box chunk_box(size_t item, uint64_t chunk) const;
  /// Whether the item's bytes are in this process' memory.
  bool is_here(size_t item) const;
  /// Of tensors and attachments.
  uint64_t bytes_here() const;
  /// The unit or units of one chunk, in the order of their copies; of a part, those that it has and
  /// does not leave to others.
  std::vector<Unit> units_of(size_t item, uint64_t chunk) const;
  uint64_t unit_bytes(const Unit& unit) const;
  /// Whether any of its bytes are on a device.
  bool is_on_device(const Unit& unit) const;
  /// Whether it is a part's piece of a chunk that lies in its page, where it is told whole.
  bool is_small_piece(const Unit& unit) const;
  /// Other ranks store these. REQUIRES: units of a part, in order.
  void leave(std::vector<LeftUnit> units);

 private:
  std::vector<Unit> held_units_of(size_t item, uint64_t chunk) const;
};

/// Where a unit lies as rows that can be hashed in place; nullopt when its bytes come from several
/// boxes, or by more than one stride. REQUIRES: its bytes are here, in the host's memory.
std::optional<DigestInput> rows_of(const SavePlan& plan, const Unit& unit);

/// Copies the unit's bytes in row-major order. REQUIRES: a tensor's unit, and its bytes are here,
/// in the host's memory.
void gather(const SavePlan& plan, const Unit& unit, MutableBytes room);

/// Errors: kUsage naming tensor and boxes: malformed names, dtypes or shapes that differ between
/// the boxes of a tensor, boxes outside it, holes, overlaps that disagree. Of boxes that several
/// parts have, the first part's counts.
Result<SavePlan> plan_save(const SaveRequest& request, const Config& config);
/// What one process has of a tag. Errors: as plan_save, but for holes.
Result<SavePlan> plan_part(const SaveRequest& request, const Config& config);
/// What several processes have stored of a tag, and the request's attachments. Errors: as
/// plan_save, naming the ranks, and for any overlap of boxes that differ; kUsage when the request
/// has tensors itself.
Result<SavePlan> plan_merged(const SaveRequest& request, std::span<const Part> parts,
                             const Config& config);

}  // namespace cairn
