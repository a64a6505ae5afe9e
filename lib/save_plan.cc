#include "lib/save_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/utf8.h"
#include "lib/cover.h"
#include "lib/strided.h"

namespace cairn {

static constexpr size_t kNameBytesMax = 65535;

static tl::unexpected<Error> about(const std::string& name, const Error& error) {
  return fail(error.code, fmt::format("tensor '{}': {}", name, error.message), error.hint);
}

static Status check_name(std::string_view kind, const std::string& name) {
  if (name.empty() || name.size() > kNameBytesMax) {
    return fail(Code::kUsage, fmt::format("{} name of {} bytes: must have 1 to {}", kind,
                                          name.size(), kNameBytesMax));
  }
  if (is_utf8(name)) return {};
  return fail(Code::kUsage, fmt::format("the {} name '{}' is not UTF-8", kind, shown(name)));
}

static Status check_metadata(const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (is_utf8(key) && is_utf8(value)) continue;
    return fail(Code::kUsage,
                fmt::format("the metadata '{}={}' is not UTF-8", shown(key), shown(value)));
  }
  return {};
}

Result<SourceBox> source_box(const StorageForm& form, const TensorSource& source) {
  CAIRN_CHECK(check_box(source.box, source.shape));
  SourceBox box;
  CAIRN_TRY(box.box, storage_box(form, source.shape, source.box));
  if (source.strides_bytes.empty()) {
    box.strides_bytes = contiguous_strides(box.box.lengths, form.item_bytes);
  } else if (source.strides_bytes.size() == box.box.rank()) {
    box.strides_bytes = source.strides_bytes;
  } else {
    return fail(Code::kUsage,
                fmt::format("{} strides for {} axes", source.strides_bytes.size(), box.box.rank()));
  }
  if (source.data == nullptr && !box.box.is_empty()) {
    return fail(Code::kUsage, fmt::format("box {} has no data", source.box.text()));
  }
  box.data = static_cast<const uint8_t*>(source.data);
  box.writer = source.writer;
  return box;
}

static Status add_box(PlannedTensor& tensor, const TensorSource& source) {
  if (source.dtype != tensor.first->dtype || source.shape != tensor.first->shape) {
    return fail(Code::kUsage,
                fmt::format("one box says {} {}, another {} {}", dtype_name(tensor.first->dtype),
                            shape_text(tensor.first->shape), dtype_name(source.dtype),
                            shape_text(source.shape)));
  }
  if (source.parameter.size() > kNameBytesMax || !is_utf8(source.parameter)) {
    return fail(Code::kUsage, fmt::format("its parameter '{}' is not UTF-8 of at most {} bytes",
                                          shown(source.parameter.substr(0, 40)), kNameBytesMax));
  }
  if (source.writer == UINT32_MAX) {
    return fail(Code::kUsage, "writers are numbered from 0, in order");
  }
  CAIRN_TRY(SourceBox box, source_box(tensor.form, source));
  tensor.boxes.push_back(std::move(box));
  return {};
}

/// Overlapping boxes hold replicas: they must agree in every byte they share.
static Status check_overlap(const PlannedTensor& tensor, const SourceBox& a, const SourceBox& b) {
  const auto common = intersect(a.box, b.box);
  if (!common) return {};
  const StridedSource in_a = sub_box(StridedSource{a.data, a.strides_bytes}, a.box, *common);
  const StridedSource in_b = sub_box(StridedSource{b.data, b.strides_bytes}, b.box, *common);
  if (equal_boxes(in_a, in_b, common->lengths, tensor.form.item_bytes)) return {};
  return fail(
      Code::kUsage,
      fmt::format("boxes {} and {} overlap and their bytes differ", a.box.text(), b.box.text()),
      "replicas must be equal; were they saved in the middle of an update?");
}

static std::vector<Box> boxes_of(const PlannedTensor& tensor) {
  std::vector<Box> boxes;
  for (const SourceBox& box : tensor.boxes) boxes.push_back(box.box);
  return boxes;
}

static Status check_tensor(const PlannedTensor& tensor, const std::vector<Box>& boxes) {
  const CoverReport report = check_cover(tensor.form.shape, boxes);
  if (report.hole) {
    return fail(Code::kUsage,
                fmt::format("no box holds {} of shape {}", report.hole->text(),
                            shape_text(tensor.form.shape)),
                "every element must be in some box of the save");
  }
  for (const auto& [a, b] : report.overlaps) {
    CAIRN_CHECK(check_overlap(tensor, tensor.boxes[a], tensor.boxes[b]));
  }
  return {};
}

static Status plan_tensors(const SaveRequest& request, const Config& config, SavePlan& plan) {
  std::map<std::string_view, PlannedTensor> by_name;
  for (const TensorSource& source : request.tensors) {
    CAIRN_CHECK(check_name("tensor", source.name));
    const auto [at, fresh] = by_name.try_emplace(source.name);
    PlannedTensor& tensor = at->second;
    if (fresh) {
      tensor.first = &source;
      auto form = storage_form(source.dtype, source.shape);
      if (!form) return about(source.name, form.error());
      tensor.form = *std::move(form);
      tensor.grid = Grid(tensor.form.shape, config.chunk_elements);
    }
    const Status added = add_box(tensor, source);
    if (!added) return about(source.name, added.error());
  }
  plan.schema.chunk_elements = config.chunk_elements;
  for (auto& [name, tensor] : by_name) {
    const std::vector<Box> boxes = boxes_of(tensor);
    const Status checked = check_tensor(tensor, boxes);
    if (!checked) return about(std::string(name), checked.error());
    tensor.sources = ChunkSources(tensor.grid, boxes);
    const TensorSource& first = *tensor.first;
    plan.logical_bytes += tensor.form.bytes();
    plan.schema.tensors.push_back(
        {first.name, static_cast<uint8_t>(first.dtype), first.shape, tensor.grid.chunk_count()});
    plan.tensors.push_back(std::move(tensor));
  }
  return {};
}

static Status plan_attachments(const SaveRequest& request, SavePlan& plan) {
  plan.attachments = request.attachments;
  std::sort(plan.attachments.begin(), plan.attachments.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const AttachmentSource& attachment : plan.attachments) {
    CAIRN_CHECK(check_name("attachment", attachment.name));
    if (!plan.attachment_infos.empty() && plan.attachment_infos.back().name == attachment.name) {
      return fail(Code::kUsage, fmt::format("attachment '{}' is given twice", attachment.name));
    }
    plan.attachment_infos.push_back({attachment.name, attachment.bytes.size()});
    plan.attachment_bytes += attachment.bytes.size();
  }
  return {};
}

/// How the save was cut and what its tensors are, unless there is nothing to say: one writer held
/// everything whole and no tensor has a role.
static void plan_layout(const SaveRequest& request, SavePlan& plan) {
  std::map<std::string_view, TensorLayout> by_name;
  Layout layout;
  bool trivial = true;
  for (const TensorSource& source : request.tensors) {
    TensorLayout& tensor = by_name[source.name];
    if (tensor.boxes.empty()) {
      tensor.role = source.role;
      tensor.parameter = source.parameter;
    }
    trivial = trivial && source.role == Role::kNone;
    tensor.boxes.push_back({source.writer, source.box.offsets, source.box.lengths});
    layout.writers = std::max(layout.writers, source.writer + 1);
    trivial = trivial && source.writer == 0 && source.box == whole_box(source.shape);
  }
  if (trivial) return;
  for (auto& [name, tensor] : by_name) layout.tensors.push_back(std::move(tensor));
  plan.layout = std::move(layout);
}

Result<SavePlan> plan_save(const SaveRequest& request, const Config& config) {
  SavePlan plan;
  plan.opaque_chunk_bytes = config.opaque_chunk_bytes;
  CAIRN_CHECK(plan_tensors(request, config, plan));
  CAIRN_CHECK(plan_attachments(request, plan));
  CAIRN_CHECK(check_metadata(request.metadata));
  CAIRN_CHECK(check_metadata(request.file_metadata));
  plan_layout(request, plan);
  plan.pages = plan_pages(plan.schema, plan.attachment_infos, plan.opaque_chunk_bytes);
  return plan;
}

/// The boxes that meet a chunk are pieces of it when they are disjoint and of several writers: no
/// writer could digest the whole chunk. Boxes of one writer are put together.
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
  return pieces;
}

std::vector<Unit> SavePlan::units_of(size_t item, uint64_t chunk) const {
  Unit unit{item, chunk, false, {}, {}};
  if (item >= tensors.size()) {
    const uint64_t bytes = attachment_infos[item - tensors.size()].bytes;
    const uint64_t offset = chunk * opaque_chunk_bytes;
    unit.box = {{offset}, {std::min(opaque_chunk_bytes, bytes - offset)}};
    return {unit};
  }
  const PlannedTensor& tensor = tensors[item];
  unit.box = tensor.grid.chunk_box(chunk);
  const auto sources = tensor.sources.of(chunk);
  unit.sources.assign(sources.begin(), sources.end());
  const bool one_writer = std::all_of(sources.begin(), sources.end(), [&](uint32_t source) {
    return tensor.boxes[source].writer == tensor.boxes[sources.front()].writer;
  });
  // What fits into a page goes there whole, whoever held its parts.
  if (one_writer || unit_bytes(unit) <= kInlineBytesMax) return {unit};
  return pieces_of(tensor, unit);
}

uint64_t SavePlan::unit_bytes(const Unit& unit) const {
  return unit.item >= tensors.size() ? unit.box.lengths[0]
                                     : unit.box.elements() * tensors[unit.item].form.item_bytes;
}

}  // namespace cairn
