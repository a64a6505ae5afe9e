#include "lib/save_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/chunker.h"
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

namespace {

/// A box that the request or a part of the save has.
struct Given {
  const TensorSource* source = nullptr;
  std::optional<uint32_t> part;
};

}  // namespace

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
  box.data = static_cast<const uint8_t*>(source.data);
  box.writer = source.writer;
  box.device = source.device;
  return box;
}

/// Who says something of a tensor: the rank, where there are several.
static std::string teller(const TensorSource& source, const std::optional<uint32_t>& part) {
  return part ? fmt::format("rank {}", source.writer) : "one box";
}

static Status check_same(const PlannedTensor& tensor, const Given& given) {
  const TensorSource &first = *tensor.first, &source = *given.source;
  if (source.dtype == first.dtype && source.shape == first.shape) return {};
  return fail(Code::kUsage, fmt::format("{} says {} {}, {} {} {}", teller(first, given.part),
                                        dtype_name(first.dtype), shape_text(first.shape),
                                        given.part ? teller(source, given.part) : "another",
                                        dtype_name(source.dtype), shape_text(source.shape)));
}

static Status add_box(PlannedTensor& tensor, const Given& given) {
  const TensorSource& source = *given.source;
  CAIRN_CHECK(check_same(tensor, given));
  if (source.parameter.size() > kNameBytesMax || !is_utf8(source.parameter)) {
    return fail(Code::kUsage, fmt::format("its parameter '{}' is not UTF-8 of at most {} bytes",
                                          shown(source.parameter.substr(0, 40)), kNameBytesMax));
  }
  if (source.writer == UINT32_MAX) {
    return fail(Code::kUsage, "writers are numbered from 0, in order");
  }
  CAIRN_TRY(SourceBox box, source_box(tensor.form, source));
  if (box.data == nullptr && !given.part && !box.box.is_empty()) {
    return fail(Code::kUsage, fmt::format("box {} has no data", source.box.text()));
  }
  box.part = given.part;
  tensor.boxes.push_back(std::move(box));
  return {};
}

/// Boxes that several have are replicas: the first one's counts.
static void drop_replicas(std::vector<SourceBox>& boxes) {
  std::set<std::pair<std::vector<uint64_t>, std::vector<uint64_t>>> met;
  std::erase_if(boxes, [&](const SourceBox& each) {
    return !met.insert({each.box.offsets, each.box.lengths}).second;
  });
}

/// Overlapping boxes hold replicas: they must agree in every byte they share.
static Status check_overlap(const PlannedTensor& tensor, SaveKind kind, const SourceBox& a,
                            const SourceBox& b) {
  const auto common = intersect(a.box, b.box);
  if (!common) return {};
  if (a.device || b.device) {
    return fail(Code::kUsage,
                fmt::format("boxes {} and {} overlap on a device", a.box.text(), b.box.text()),
                "give each element once: what they share is not compared there");
  }
  if (kind != SaveKind::kWhole) {
    return fail(Code::kUsage,
                fmt::format("boxes {} of rank {} and {} of rank {} overlap", a.box.text(), a.writer,
                            b.box.text(), b.writer),
                "boxes of several processes are the same or apart");
  }
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

/// "rank 0, rank 2": those that have boxes of the tensor.
static std::string holders(const PlannedTensor& tensor) {
  std::set<uint32_t> ranks;
  for (const SourceBox& box : tensor.boxes) ranks.insert(box.writer);
  return fmt::format("rank {}", fmt::join(ranks, ", rank "));
}

static Status check_tensor(const PlannedTensor& tensor, SaveKind kind,
                           const std::vector<Box>& boxes) {
  const CoverReport report = check_cover(tensor.form.shape, boxes);
  if (report.hole && kind != SaveKind::kPart) {
    const std::string who = kind == SaveKind::kMerged ? "; it was saved by " + holders(tensor) : "";
    return fail(Code::kUsage,
                fmt::format("no box holds {} of shape {}{}", report.hole->text(),
                            shape_text(tensor.form.shape), who),
                "every element must be in some box of the save");
  }
  for (const auto& [a, b] : report.overlaps) {
    CAIRN_CHECK(check_overlap(tensor, kind, tensor.boxes[a], tensor.boxes[b]));
  }
  return {};
}

static uint64_t bytes_of(const PlannedTensor& tensor, SaveKind kind) {
  if (kind != SaveKind::kPart) return tensor.form.bytes();
  uint64_t bytes = 0;
  for (const SourceBox& box : tensor.boxes) bytes += box.box.elements() * tensor.form.item_bytes;
  return bytes;
}

static Status finish_tensor(PlannedTensor& tensor, const Config& config, SavePlan& plan) {
  if (plan.kind == SaveKind::kMerged) drop_replicas(tensor.boxes);
  const std::vector<Box> boxes = boxes_of(tensor);
  CAIRN_CHECK(check_tensor(tensor, plan.kind, boxes));
  tensor.grid = Grid(tensor.form.shape, config.chunk_elements);
  tensor.sources = ChunkSources(tensor.grid, boxes);
  plan.logical_bytes += bytes_of(tensor, plan.kind);
  const TensorSource& first = *tensor.first;
  plan.schema.tensors.push_back(
      {first.name, static_cast<uint8_t>(first.dtype), first.shape, tensor.grid.chunk_count()});
  plan.tensors.push_back(std::move(tensor));
  return {};
}

static Status plan_tensors(const std::vector<Given>& boxes, const Config& config, SavePlan& plan) {
  std::map<std::string_view, PlannedTensor> by_name;
  for (const Given& given : boxes) {
    const TensorSource& source = *given.source;
    CAIRN_CHECK(check_name("tensor", source.name));
    const auto [at, fresh] = by_name.try_emplace(source.name);
    PlannedTensor& tensor = at->second;
    if (fresh) {
      tensor.first = &source;
      auto form = storage_form(source.dtype, source.shape);
      if (!form) return about(source.name, form.error());
      tensor.form = *std::move(form);
    }
    const Status added = add_box(tensor, given);
    if (!added) return about(source.name, added.error());
  }
  plan.schema.chunk_elements = config.chunk_elements;
  for (auto& [name, tensor] : by_name) {
    const Status finished = finish_tensor(tensor, config, plan);
    if (!finished) return about(std::string(name), finished.error());
  }
  return {};
}

static ChunkEdges cut_attachment(ByteSpan bytes, const Config& config) {
  const uint64_t chunk_bytes = config.opaque_chunk_bytes;
  if (!has_content_cuts(config)) return ChunkEdges::runs(bytes.size(), chunk_bytes);
  return ChunkEdges::told(cut_content(bytes, ChunkRule::of_average(chunk_bytes)));
}

/// Those of the request and of the parts, in order.
static Status plan_attachments(const SaveRequest& request, std::span<const Part> parts,
                               const Config& config, SavePlan& plan) {
  struct Known {
    AttachmentInfo info;
    ByteSpan bytes;
    std::optional<uint32_t> part;
  };
  std::map<std::string, Known> by_name;
  const auto add = [&](const Known& known) -> Status {
    CAIRN_CHECK(check_name("attachment", known.info.name));
    const auto [at, fresh] = by_name.try_emplace(known.info.name, known);
    // Those that several parts have are replicas: the first one's counts.
    if (fresh || (at->second.part && known.part)) return {};
    return fail(Code::kUsage, fmt::format("attachment '{}' is given twice", known.info.name));
  };
  for (const auto& [name, bytes] : request.attachments) {
    CAIRN_CHECK(add({{name, bytes.size(), cut_attachment(bytes, config)}, bytes, std::nullopt}));
  }
  for (uint32_t part = 0; part < parts.size(); ++part) {
    for (const AttachmentInfo& info : parts[part].attachments) CAIRN_CHECK(add({info, {}, part}));
  }
  for (const auto& [name, known] : by_name) {
    plan.attachment_infos.push_back(known.info);
    plan.attachment_bytes += known.info.bytes;
    plan.attachments.push_back({name, known.bytes});
    plan.attachment_parts.push_back(known.part);
  }
  return {};
}

/// How the save was cut and what its tensors are, unless there is nothing to say: one writer held
/// everything whole and no tensor has a role.
static void plan_layout(const std::vector<Given>& boxes, SavePlan& plan) {
  Layout layout;
  std::map<std::string_view, TensorLayout> by_name;
  std::set<std::tuple<std::string_view, std::vector<uint64_t>, std::vector<uint64_t>>> met;
  bool trivial = plan.kind != SaveKind::kPart;
  for (const auto& [given, part] : boxes) {
    const TensorSource& source = *given;
    TensorLayout& tensor = by_name[source.name];
    const bool is_replica =
        !met.emplace(source.name, source.box.offsets, source.box.lengths).second;
    if (plan.kind == SaveKind::kMerged && is_replica && !source.box.is_empty()) continue;
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

static Result<SavePlan> plan_of(SaveKind kind, const SaveRequest& request,
                                std::span<const Part> parts, const Config& config) {
  SavePlan plan;
  plan.kind = kind;
  std::vector<Given> boxes;
  for (const TensorSource& source : request.tensors) boxes.push_back({&source, std::nullopt});
  for (uint32_t part = 0; part < parts.size(); ++part) {
    for (TensorSource& source : sources_of(parts[part])) {
      boxes.push_back({&plan.told_by_parts.emplace_back(std::move(source)), part});
    }
  }
  CAIRN_CHECK(plan_tensors(boxes, config, plan));
  CAIRN_CHECK(plan_attachments(request, parts, config, plan));
  CAIRN_CHECK(check_metadata(request.metadata));
  CAIRN_CHECK(check_metadata(request.file_metadata));
  plan_layout(boxes, plan);
  plan.pages = plan_pages(plan.schema, plan.attachment_infos);
  return plan;
}

Result<SavePlan> plan_save(const SaveRequest& request, const Config& config) {
  return plan_of(SaveKind::kWhole, request, {}, config);
}

Result<SavePlan> plan_part(const SaveRequest& request, const Config& config) {
  return plan_of(SaveKind::kPart, request, {}, config);
}

Result<SavePlan> plan_merged(const SaveRequest& request, std::span<const Part> parts,
                             const Config& config) {
  if (!request.tensors.empty()) {
    return fail(Code::kUsage, "a save that unites parts has no tensors itself",
                "store them as a part too");
  }
  return plan_of(SaveKind::kMerged, request, parts, config);
}

}  // namespace cairn
