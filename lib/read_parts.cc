#include "lib/read_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "store/meta_pack.h"

namespace cairn {

static std::string step_text(const std::optional<int64_t>& step) {
  return step ? fmt::format("step {}", *step) : "no step";
}

/// A plan has room for as many chunks as boxes and attachments say: no more than parts have units
/// for. What several have a box of may be stored by any of them.
static bool have_units_for_all(const std::vector<Part>& parts, const Config& config) {
  constexpr double kUnitElementsMax = 8;  // sub-byte elements in a stored item
  double chunks = 0, units = 0;
  std::set<std::tuple<std::string_view, std::vector<uint64_t>, std::vector<uint64_t>>> met;
  for (const Part& part : parts) {
    for (size_t i = 0; i < part.layout.tensors.size(); ++i) {
      for (const LayoutBox& box : part.layout.tensors[i].boxes) {
        if (!met.emplace(part.schema.tensors[i].name, box.offsets, box.lengths).second) continue;
        double elements = 1;
        for (const uint64_t length : box.lengths) elements *= static_cast<double>(length);
        chunks += elements / (kUnitElementsMax * static_cast<double>(config.chunk_elements));
      }
    }
    for (const AttachmentInfo& attachment : part.attachments) {
      chunks += static_cast<double>(attachment.edges.count());
    }
    units += static_cast<double>(part.units.size());
  }
  return chunks <= units;
}

static Result<Part> read_part(FilePool& files, const std::string& name, const Config& config) {
  CAIRN_TRY(const Reference reference, parse_part_name(name));
  const auto bytes = read_object(files, reference);
  if (!bytes) {
    return fail(bytes.error().code, "a part of the save cannot be read: " + bytes.error().message,
                "whoever stores a part must live until the save is done; save again");
  }
  CAIRN_TRY(Part part, decode_part(*bytes));
  CAIRN_CHECK(settle_edges(part.attachments, config));
  if (part.session != reference.file.session) {
    return fail(Code::kCorrupt, fmt::format("'{}' is the part of another session", name));
  }
  return part;
}

Result<std::vector<Part>> read_parts(const Store& store, const SaveRequest& request) {
  std::vector<Part> parts;
  std::set<std::string> names;
  FilePool files(store.fs(), store.path(), OpenMode::kRead);
  for (const std::string& name : request.parts) {
    if (!names.insert(name).second) {
      return fail(Code::kUsage, fmt::format("the part '{}' is named twice", name));
    }
    CAIRN_TRY(Part part, read_part(files, name, store.config()));
    if (part.tag != request.tag) {
      return fail(Code::kUsage,
                  fmt::format("a part of the tag '{}' is no part of '{}'", part.tag, request.tag));
    }
    if (part.step != request.step) {
      return fail(Code::kUsage,
                  fmt::format("the parts of '{}' are of other steps: {} and {}", request.tag,
                              step_text(request.step), step_text(part.step)));
    }
    parts.push_back(std::move(part));
  }
  if (have_units_for_all(parts, store.config())) return parts;
  return fail(
      Code::kCorrupt,
      fmt::format("a part of '{}' is damaged, or missing: chunks are in none", request.tag));
}

std::optional<std::string> base_name(const SaveRequest& request, std::span<const Part> parts) {
  if (request.base || parts.empty()) return request.base;
  const auto compared = std::find_if(parts.begin(), parts.end(),
                                     [](const Part& part) { return part.base.has_value(); });
  return compared == parts.end() ? "none" : compared->base->tag;
}

Status check_parts_base(std::span<const Part> parts, const SaveRequest& request,
                        const BaseTag* base) {
  const std::string wanted = *base_name(request, parts);
  for (const Part& part : parts) {
    const bool is_same =
        !part.base || (base != nullptr && base->tag().manifest.digest == part.base->manifest);
    if (is_same) continue;
    if (part.base->tag != wanted) {
      return fail(Code::kUsage,
                  fmt::format("a part of '{}' was compared with '{}', where another was, or is to "
                              "be, with '{}'",
                              request.tag, part.base->tag, wanted),
                  "name the same base in all processes");
    }
    return fail(Code::kBusy,
                fmt::format("the tag '{}', which parts of '{}' were compared with, has changed "
                            "meanwhile",
                            wanted, request.tag),
                "save again");
  }
  return {};
}

std::vector<FileId> unleased_packs(std::span<const FileId> packs, const SessionId& session,
                                   const BaseTag* base) {
  std::set<FileId> leased;
  if (base != nullptr) {
    const auto of_base = base->lease().packs;
    leased.insert(of_base.begin(), of_base.end());
  }
  std::vector<FileId> unleased;
  std::copy_if(packs.begin(), packs.end(), std::back_inserter(unleased), [&](const FileId& pack) {
    return pack.session != session && !leased.contains(pack);
  });
  return unleased;
}

}  // namespace cairn
