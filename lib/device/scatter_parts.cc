#include "lib/device/scatter_parts.h"

#include <algorithm>

#include "lib/device/content.h"
#include "lib/strided.h"

namespace cairn {

static gpu::Element element_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBool:
      return gpu::Element::kBool;
    case Dtype::kU8:
      return gpu::Element::kU8;
    case Dtype::kI8:
      return gpu::Element::kI8;
    case Dtype::kF8E5M2:
      return gpu::Element::kF8E5M2;
    case Dtype::kF8E4M3:
      return gpu::Element::kF8E4M3;
    case Dtype::kF8E8M0:
      return gpu::Element::kF8E8M0;
    case Dtype::kF8E4M3Fnuz:
      return gpu::Element::kF8E4M3Fnuz;
    case Dtype::kF8E5M2Fnuz:
      return gpu::Element::kF8E5M2Fnuz;
    case Dtype::kI16:
      return gpu::Element::kI16;
    case Dtype::kU16:
      return gpu::Element::kU16;
    case Dtype::kF16:
      return gpu::Element::kF16;
    case Dtype::kBF16:
      return gpu::Element::kBF16;
    case Dtype::kI32:
      return gpu::Element::kI32;
    case Dtype::kU32:
      return gpu::Element::kU32;
    case Dtype::kF32:
      return gpu::Element::kF32;
    case Dtype::kF64:
      return gpu::Element::kF64;
    case Dtype::kI64:
      return gpu::Element::kI64;
    case Dtype::kU64:
      return gpu::Element::kU64;
    case Dtype::kF4:  // not converted (lib/convert.h)
    case Dtype::kF6E2M3:
    case Dtype::kF6E3M2:
    case Dtype::kC64:
      break;
  }
  return gpu::Element::kBytes;
}

namespace {

/// The part of a chunk that one target wants.
struct Wanted {
  StridedSource from;  // in the slab
  StridedTarget to;
  std::vector<uint64_t> lengths;
  uint64_t from_bytes = 1, to_bytes = 1;  // of an item
  gpu::Element element = gpu::Element::kBytes, as = gpu::Element::kBytes;

  bool is_converted() const { return element != as; }
  uint64_t items() const {
    uint64_t items = 1;
    for (const uint64_t length : lengths) items *= length;
    return items;
  }
};

/// All copies of one kind, in the order in which they must be enqueued.
struct Steps {
  std::vector<gpu::BoxCopy> before;  // out of the slab
  std::vector<gpu::ScatterPiece> pieces;
  std::vector<gpu::BoxCopy> after;  // into targets
};

bool is_contiguous(const std::vector<int64_t>& strides, const std::vector<uint64_t>& lengths,
                   uint64_t item_bytes) {
  const auto rows = as_rows(strides, lengths, item_bytes);
  return rows && rows->rows <= 1;
}

/// The target as rows that a scatter fills; nullopt when they are no rows, or run into each other.
std::optional<gpu::Tile> rows_of(const Wanted& wanted) {
  const auto rows = as_rows(wanted.to.strides_bytes, wanted.lengths, wanted.to_bytes);
  if (!rows) return std::nullopt;
  const auto row_bytes = static_cast<int64_t>(rows->row_bytes);
  if (rows->rows > 1 && rows->stride_bytes < row_bytes) return std::nullopt;
  return gpu::Tile{wanted.to.data, rows->row_bytes, rows->stride_bytes, rows->rows};
}

}  // namespace

static Wanted wanted_of(const SlabChunk& chunk, const TargetBox& target, const Box& common) {
  Wanted wanted;
  const StridedSource whole{chunk.data, contiguous_strides(chunk.box.lengths, chunk.item_bytes)};
  wanted.from = sub_box(whole, chunk.box, common);
  wanted.to = sub_box(target.memory, target.box, common);
  wanted.lengths = common.lengths;
  wanted.from_bytes = wanted.to_bytes = chunk.item_bytes;
  if (target.stored != target.wanted) {
    wanted.to_bytes = bits_per_element(target.wanted) / 8;
    wanted.element = element_of(target.stored);
    wanted.as = element_of(target.wanted);
  }
  return wanted;
}

/// Where a piece begins in what the scatter takes for its slab: kernels know offsets only.
static uint64_t offset_of(const uint8_t* data, const uint8_t* origin) {
  return static_cast<uint64_t>(data - origin);
}

static Status add_wanted(const Wanted& wanted, const uint8_t* origin, Arena& arena, Steps& steps) {
  const bool is_together =
      is_contiguous(wanted.from.strides_bytes, wanted.lengths, wanted.from_bytes) &&
      offset_of(wanted.from.data, origin) % 16 == 0;
  auto rows = rows_of(wanted);
  if (!wanted.is_converted() && !(is_together && rows)) {
    steps.after.push_back(box_copy(wanted.from, wanted.to, wanted.lengths, wanted.from_bytes));
    return {};
  }
  const uint8_t* from = wanted.from.data;
  if (!is_together) {
    CAIRN_TRY(const gpu::DeviceSpan room, take_room(arena, wanted.items() * wanted.from_bytes));
    const StridedTarget together{room.data, contiguous_strides(wanted.lengths, wanted.from_bytes)};
    steps.before.push_back(box_copy(wanted.from, together, wanted.lengths, wanted.from_bytes));
    from = room.data;
  }
  if (!rows) {
    const uint64_t bytes = wanted.items() * wanted.to_bytes;
    CAIRN_TRY(const gpu::DeviceSpan room, take_room(arena, bytes));
    const StridedSource converted{room.data, contiguous_strides(wanted.lengths, wanted.to_bytes)};
    steps.after.push_back(box_copy(converted, wanted.to, wanted.lengths, wanted.to_bytes));
    rows = gpu::Tile{room.data, bytes};
  }
  steps.pieces.push_back({offset_of(from, origin), *rows, wanted.element, wanted.as});
  return {};
}

static Status scatter_pieces(const Lane& lane, Arena& arena, uint8_t* origin,
                             std::span<const gpu::ScatterPiece> pieces) {
  CAIRN_TRY(const gpu::ScatterPlan plan, gpu::ScatterPlan::make(pieces));
  CAIRN_TRY(const gpu::DeviceSpan image, take_room(arena, plan.image().size()));
  CAIRN_CHECK(gpu::copy_up(lane.work(), image.data, plan.image()));
  return gpu::scatter(lane.work(), plan, image, {origin, plan.slab_bytes()}, lane.share());
}

Status scatter_chunks(const Lane& lane, Arena& arena, std::span<const SlabChunk> chunks) {
  uint8_t* const origin = lane.memory().data;
  Steps steps;
  for (const SlabChunk& chunk : chunks) {
    for (const TargetBox* target : chunk.targets) {
      const auto common = intersect(chunk.box, target->box);
      if (!common) continue;
      CAIRN_CHECK(add_wanted(wanted_of(chunk, *target, *common), origin, arena, steps));
    }
  }
  if (!steps.before.empty()) {
    CAIRN_CHECK(gpu::copy_boxes(lane.work(), steps.before, lane.share()));
  }
  if (!steps.pieces.empty()) CAIRN_CHECK(scatter_pieces(lane, arena, origin, steps.pieces));
  if (steps.after.empty()) return {};
  return gpu::copy_boxes(lane.work(), steps.after, lane.share());
}

uint64_t scatter_room(const Box& box, uint64_t item_bytes,
                      std::span<const TargetBox* const> targets) {
  uint64_t room = 0;
  for (const TargetBox* target : targets) {
    const auto common = intersect(box, target->box);
    if (!common) continue;
    uint64_t bytes = item_bytes;
    if (target->stored != target->wanted) bytes += bits_per_element(target->wanted) / 8;
    room += common->elements() * bytes + sizeof(gpu::ScatterPiece) + 4 * Arena::kAlignment;
  }
  return room;
}

}  // namespace cairn
