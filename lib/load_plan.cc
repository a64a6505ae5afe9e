#include "lib/load_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/convert.h"
#include "lib/cover.h"
#include "lib/grid.h"
#include "lib/tensor_names.h"

namespace cairn {
namespace {

std::string describe(Dtype dtype, const Shape& shape) {
  return fmt::format("{} {}", dtype_name(dtype), shape_text(shape));
}

/// `with_unexpected`: whether to look through all the names that are stored.
LoadReport compare(const Checkpoint& checkpoint, const LoadRequest& request,
                   const TensorNames& names, bool with_unexpected) {
  LoadReport report;
  std::set<std::string_view> asked;
  for (const TensorTarget& target : request.targets) {
    const bool again = !asked.insert(target.name).second;
    const auto found = names.find(target.name);
    if (!found) {
      if (!again) report.missing.push_back(target.name);
      continue;
    }
    const TensorInfo& stored = checkpoint.schema().tensors[*found];
    const auto dtype = static_cast<Dtype>(stored.dtype);
    if (stored.shape != target.shape || (dtype != target.dtype && !request.cast)) {
      report.mismatched.push_back(fmt::format("{}: stored {}, asked for {}", target.name,
                                              describe(dtype, stored.shape),
                                              describe(target.dtype, target.shape)));
    }
  }
  if (!with_unexpected) return report;
  for (std::string& name : names.all()) {
    if (!asked.contains(name)) report.unexpected.push_back(std::move(name));
  }
  return report;
}

std::string list(std::string_view what, const std::vector<std::string>& names) {
  constexpr size_t kNamesMax = 8;
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamesMax; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kNamesMax) text += fmt::format(" and {} more", names.size() - kNamesMax);
  return names.empty() ? "" : fmt::format("; {}: {}", what, text);
}

Status refuse(const LoadReport& report, bool strict, const std::string& tag) {
  if (report.ok(strict)) return {};
  return fail(Code::kUsage,
              fmt::format("tag '{}' does not fit what was asked for{}{}{}", tag,
                          list("missing", report.missing), list("mismatched", report.mismatched),
                          strict ? list("unexpected", report.unexpected) : ""));
}

Result<TargetBox> plan_target(const TensorTarget& target, size_t number, const TensorInfo& stored) {
  TargetBox planned;
  planned.tensor = number;
  planned.stored = static_cast<Dtype>(stored.dtype);
  planned.wanted = target.dtype;
  CAIRN_CHECK(check_box(target.box, target.shape));
  CAIRN_TRY(const StorageForm form, storage_form(planned.stored, target.shape));
  CAIRN_TRY(planned.box, storage_box(form, target.shape, target.box));
  planned.item_bytes = form.item_bytes;
  uint64_t wanted_item_bytes = form.item_bytes;
  if (planned.stored != planned.wanted) {
    CAIRN_CHECK(check_convertible(planned.stored, planned.wanted));
    wanted_item_bytes = bits_per_element(planned.wanted) / 8;
  }
  planned.memory.data = static_cast<uint8_t*>(target.data);
  planned.memory.strides_bytes = target.strides_bytes.empty()
                                     ? contiguous_strides(planned.box.lengths, wanted_item_bytes)
                                     : target.strides_bytes;
  if (planned.memory.strides_bytes.size() != planned.box.rank()) {
    return fail(Code::kUsage, fmt::format("{} strides for {} axes", target.strides_bytes.size(),
                                          planned.box.rank()));
  }
  if (planned.memory.data == nullptr && !planned.box.is_empty()) {
    return fail(Code::kUsage, fmt::format("box {} has no memory", target.box.text()));
  }
  return planned;
}

/// Finds the units that each target meets, every unit once.
class UnitFinder {
 public:
  UnitFinder(Checkpoint& checkpoint, LoadPlan& plan) : checkpoint_(checkpoint), plan_(plan) {}

  Status find() {
    for (size_t number = 0; number < plan_.targets.size(); ++number) {
      const TargetBox& target = plan_.targets[number];
      const TensorInfo& tensor = checkpoint_.schema().tensors[target.tensor];
      CAIRN_TRY(const StorageForm form, storage_form(target.stored, tensor.shape));
      CAIRN_TRY(const Grid grid, grid_of(tensor, form, checkpoint_.schema().chunk_elements));
      plan_.bytes += target.box.elements() * target.item_bytes;
      Status added;
      grid.for_each_chunk(target.box, [&](uint64_t chunk) {
        if (added) added = add_chunk(number, chunk, grid);
      });
      CAIRN_CHECK(added);
    }
    std::sort(plan_.units.begin(), plan_.units.end(), [](const ReadUnit& a, const ReadUnit& b) {
      return std::tuple(a.inline_bytes.empty(), a.copy.pack, a.copy.offset) <
             std::tuple(b.inline_bytes.empty(), b.copy.pack, b.copy.offset);
    });
    return {};
  }

 private:
  Status add_chunk(size_t target_number, uint64_t chunk, const Grid& grid) {
    const TargetBox& target = plan_.targets[target_number];
    const PagePlan::Place place = checkpoint_.plan().place(target.tensor, chunk);
    CAIRN_TRY(const auto page, checkpoint_.page(place.page));
    const ChunkEntry& entry = page->page.entries[place.entry];
    ReadUnit unit;
    unit.item = target.tensor;
    unit.chunk = chunk;
    unit.box = grid.chunk_box(chunk);
    const auto copies = page->copies(place.entry);
    if (const auto* bytes = std::get_if<Bytes>(&entry)) {
      unit.inline_bytes = *bytes;
      add(std::move(unit), target_number, 0);
    } else if (const auto* digest = std::get_if<Digest>(&entry)) {
      unit.digest = *digest;
      unit.copy = copies[0];
      add(std::move(unit), target_number, 0);
    } else {
      const auto& pieces = std::get<std::vector<Piece>>(entry);
      if (!make_up(piece_boxes(pieces), unit.box)) {
        return fail(Code::kCorrupt,
                    fmt::format("the pieces of chunk {} of tensor '{}' do not make it up", chunk,
                                tensor_name(target)));
      }
      for (size_t i = 0; i < pieces.size(); ++i) {
        ReadUnit piece = unit;
        piece.box = {pieces[i].offsets, pieces[i].lengths};
        piece.digest = pieces[i].digest;
        piece.copy = copies[i];
        if (intersect(piece.box, target.box)) add(std::move(piece), target_number, i);
      }
    }
    return {};
  }

  void add(ReadUnit unit, size_t target, size_t piece) {
    const auto [at, fresh] =
        numbers_.try_emplace({unit.item, unit.chunk, piece}, plan_.units.size());
    if (fresh) plan_.units.push_back(std::move(unit));
    plan_.units[at->second].targets.push_back(target);
  }

  const std::string& tensor_name(const TargetBox& target) const {
    return checkpoint_.schema().tensors[target.tensor].name;
  }

  Checkpoint& checkpoint_;
  LoadPlan& plan_;
  std::map<std::tuple<size_t, uint64_t, size_t>, size_t> numbers_;
};

}  // namespace

Result<LoadReport> compare_names(const Checkpoint& checkpoint, const LoadRequest& request) {
  CAIRN_TRY(const TensorNames names, TensorNames::of(checkpoint, request.rename));
  return compare(checkpoint, request, names, true);
}

Result<LoadPlan> plan_load(Checkpoint& checkpoint, const LoadRequest& request) {
  CAIRN_TRY(const TensorNames names, TensorNames::of(checkpoint, request.rename));
  CAIRN_CHECK(refuse(compare(checkpoint, request, names, request.strict), request.strict,
                     checkpoint.tag().name));
  LoadPlan plan;
  for (const TensorTarget& target : request.targets) {
    const size_t number = *names.find(target.name);
    auto planned = plan_target(target, number, checkpoint.schema().tensors[number]);
    if (!planned) {
      return fail(planned.error().code,
                  fmt::format("tensor '{}': {}", target.name, planned.error().message));
    }
    plan.targets.push_back(*std::move(planned));
  }
  CAIRN_CHECK(UnitFinder(checkpoint, plan).find());
  return plan;
}

}  // namespace cairn
