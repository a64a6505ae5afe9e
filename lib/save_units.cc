// The units of a plan: what is digested and stored as one.
#include <algorithm>

#include "lib/save_plan.h"
#include "lib/strided.h"

namespace cairn {

bool SavePlan::is_here(size_t item) const {
  if (item < tensors.size()) return kind != SaveKind::kMerged;
  return !attachment_parts[item - tensors.size()].has_value();
}

uint64_t SavePlan::chunk_count(size_t item) const {
  if (item < tensors.size()) return tensors[item].grid.chunk_count();
  return attachment_infos[item - tensors.size()].edges.count();
}

Box SavePlan::chunk_box(size_t item, uint64_t chunk) const {
  if (item < tensors.size()) return tensors[item].grid.chunk_box(chunk);
  const ChunkEdges& edges = attachment_infos[item - tensors.size()].edges;
  return {{edges.begin(chunk)}, {edges.length(chunk)}};
}

const std::string& SavePlan::name(size_t item) const {
  return item < tensors.size() ? tensors[item].first->name
                               : attachment_infos[item - tensors.size()].name;
}

uint64_t SavePlan::bytes_here() const {
  uint64_t bytes = kind == SaveKind::kMerged ? 0 : logical_bytes;
  for (size_t i = 0; i < attachments.size(); ++i) {
    if (is_here(tensors.size() + i)) bytes += attachment_infos[i].bytes;
  }
  return bytes;
}

/// The boxes that meet a chunk are pieces of it when they are disjoint and of several writers: no
/// writer could digest the whole chunk. In order of their offsets, so that a tag is the same in
/// whatever order its boxes are given.
static std::vector<Unit> pieces_of(const PlannedTensor& tensor, const Unit& whole) {
  std::vector<Unit> pieces;
  for (const size_t source : whole.sources) {
    Unit piece = whole;
    piece.is_piece = true;
    piece.box = *intersect(whole.box, tensor.boxes[source].box);
    piece.sources = {source};
    for (const Unit& other : pieces) {
      if (intersect(other.box, piece.box)) return {whole};
    }
    pieces.push_back(std::move(piece));
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Unit& a, const Unit& b) { return a.box.offsets < b.box.offsets; });
  return pieces;
}

/// Whether the boxes of a part hold all of a chunk.
static bool is_complete(const PlannedTensor& tensor, const Unit& whole) {
  uint64_t elements = 0;  // boxes of a part are disjoint
  for (const size_t source : whole.sources) {
    elements += intersect(whole.box, tensor.boxes[source].box)->elements();
  }
  return elements == whole.box.elements();
}

std::vector<Unit> SavePlan::units_of(size_t item, uint64_t chunk) const {
  std::vector<Unit> units = held_units_of(item, chunk);
  if (left.empty()) return units;
  std::erase_if(units, [&](const Unit& unit) {
    const LeftUnit wanted{item, chunk, unit.is_piece ? unit.sources.front() : LeftUnit::kWhole};
    return std::binary_search(left.begin(), left.end(), wanted);
  });
  return units;
}

void SavePlan::leave(std::vector<LeftUnit> units) {
  for (const LeftUnit& each : units) {
    for (const Unit& unit : held_units_of(each.item, each.chunk)) {
      const bool is_it =
          unit.is_piece ? unit.sources.front() == each.source : each.source == LeftUnit::kWhole;
      if (is_it) logical_bytes -= unit_bytes(unit);
    }
  }
  left = std::move(units);
}

std::vector<Unit> SavePlan::held_units_of(size_t item, uint64_t chunk) const {
  Unit unit{item, chunk, false, chunk_box(item, chunk), {}};
  if (item >= tensors.size()) return {unit};
  const PlannedTensor& tensor = tensors[item];
  const auto sources = tensor.sources.of(chunk);
  if (sources.empty()) return {};
  unit.sources.assign(sources.begin(), sources.end());
  if (kind == SaveKind::kPart && !is_complete(tensor, unit)) return pieces_of(tensor, unit);
  const auto holder = [&](uint32_t source) {
    return std::pair(tensor.boxes[source].part, tensor.boxes[source].writer);
  };
  const bool one_writer = std::all_of(sources.begin(), sources.end(), [&](uint32_t source) {
    return holder(source) == holder(sources.front());
  });
  // What fits into a page goes there whole, whoever held its parts.
  if (one_writer || unit_bytes(unit) <= kInlineBytesMax) return {unit};
  return pieces_of(tensor, unit);
}

bool SavePlan::is_on_device(const Unit& unit) const {
  if (unit.item >= tensors.size()) return false;
  const std::vector<SourceBox>& boxes = tensors[unit.item].boxes;
  return std::any_of(unit.sources.begin(), unit.sources.end(),
                     [&](size_t source) { return boxes[source].device.has_value(); });
}

uint64_t SavePlan::unit_bytes(const Unit& unit) const {
  return unit.item >= tensors.size() ? unit.box.lengths[0]
                                     : unit.box.elements() * tensors[unit.item].form.item_bytes;
}

bool SavePlan::is_small_piece(const Unit& unit) const {
  if (!unit.is_piece) return false;
  Unit whole = unit;
  whole.box = chunk_box(unit.item, unit.chunk);
  return unit_bytes(whole) <= kInlineBytesMax;
}

std::optional<DigestInput> rows_of(const SavePlan& plan, const Unit& unit) {
  if (unit.item >= plan.tensors.size()) {
    const ByteSpan bytes = plan.attachments[unit.item - plan.tensors.size()].bytes;
    return DigestInput{bytes.data() + unit.box.offsets[0], unit.box.lengths[0]};
  }
  const PlannedTensor& tensor = plan.tensors[unit.item];
  if (unit.sources.size() != 1) return std::nullopt;
  const SourceBox& source = tensor.boxes[unit.sources[0]];
  const StridedSource at =
      sub_box(StridedSource{source.data, source.strides_bytes}, source.box, unit.box);
  const auto rows = as_rows(at.strides_bytes, unit.box.lengths, tensor.form.item_bytes);
  if (!rows) return std::nullopt;
  return DigestInput{at.data, rows->row_bytes, rows->stride_bytes, rows->rows};
}

void gather(const SavePlan& plan, const Unit& unit, MutableBytes room) {
  const PlannedTensor& tensor = plan.tensors[unit.item];
  const StridedTarget gathered{room.data(),
                               contiguous_strides(unit.box.lengths, tensor.form.item_bytes)};
  for (const size_t number : unit.sources) {
    const SourceBox& source = tensor.boxes[number];
    const Box common = *intersect(source.box, unit.box);
    copy_box(sub_box(StridedSource{source.data, source.strides_bytes}, source.box, common),
             sub_box(gathered, unit.box, common), common.lengths, tensor.form.item_bytes);
  }
}

}  // namespace cairn
