#include "lib/load_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <span>
#include <tuple>
#include <utility>

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
  planned.device = target.device;
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

/// About 400 bytes each.
constexpr size_t kBatchUnits = 65536;

/// A chunk that a target meets.
struct Meeting {
  uint64_t chunk = 0;
  uint32_t target = 0;

  auto operator<=>(const Meeting&) const = default;
};

/// Finds the units that targets meet, every unit once, and hands them on in batches.
class UnitFinder {
 public:
  UnitFinder(Checkpoint& checkpoint, const std::vector<TargetBox>& targets,
             const std::function<Status(std::vector<ReadUnit>)>& read)
      : checkpoint_(checkpoint), targets_(targets), read_(read) {}

  Status find() {
    std::vector<uint32_t> by_tensor(targets_.size());
    std::iota(by_tensor.begin(), by_tensor.end(), 0u);
    std::stable_sort(by_tensor.begin(), by_tensor.end(), [&](uint32_t a, uint32_t b) {
      return targets_[a].tensor < targets_[b].tensor;
    });
    for (auto first = by_tensor.begin(); first != by_tensor.end();) {
      const size_t tensor = targets_[*first].tensor;
      const auto last = std::find_if(first, by_tensor.end(), [&](uint32_t target) {
        return targets_[target].tensor != tensor;
      });
      CAIRN_CHECK(find_of_tensor(tensor, {first, last}));
      first = last;
    }
    return hand_on();
  }

 private:
  Status find_of_tensor(size_t number, std::span<const uint32_t> targets) {
    const TensorInfo& tensor = checkpoint_.schema().tensors[number];
    CAIRN_TRY(const StorageForm form, storage_form(targets_[targets[0]].stored, tensor.shape));
    CAIRN_TRY(const Grid grid, grid_of(tensor, form, checkpoint_.schema().chunk_elements));
    std::vector<Meeting> meetings;
    for (const uint32_t target : targets) {
      grid.for_each_chunk(targets_[target].box, [&](uint64_t chunk) {
        meetings.push_back({chunk, target});
      });
    }
    if (targets.size() > 1) std::sort(meetings.begin(), meetings.end());
    for (size_t first = 0, last = 0; first < meetings.size(); first = last) {
      ReadUnit unit;
      unit.tensor = number;
      unit.chunk = meetings[first].chunk;
      unit.box = grid.chunk_box(unit.chunk);
      for (; last < meetings.size() && meetings[last].chunk == unit.chunk; ++last) {
        unit.targets.push_back(meetings[last].target);
      }
      CAIRN_CHECK(add_chunk(std::move(unit)));
      if (units_.size() >= kBatchUnits) CAIRN_CHECK(hand_on());
    }
    return {};
  }

  Status hand_on() {
    if (units_.empty()) return {};
    std::sort(units_.begin(), units_.end(), [](const ReadUnit& a, const ReadUnit& b) {
      return std::tuple(a.inline_bytes.empty(), a.copy.pack, a.copy.offset) <
             std::tuple(b.inline_bytes.empty(), b.copy.pack, b.copy.offset);
    });
    return read_(std::exchange(units_, {}));
  }

  Status add_chunk(ReadUnit unit) {
    const PagePlan::Place place = checkpoint_.plan().place(unit.tensor, unit.chunk);
    CAIRN_TRY(const auto page, checkpoint_.page(place.page));
    const ChunkEntry& entry = page->page.entries[place.entry];
    const auto copies = page->copies(place.entry);
    const CopyRef ref{static_cast<uint32_t>(place.page), page->first_slots[place.entry]};
    if (const auto* pieces = std::get_if<std::vector<Piece>>(&entry)) {
      return add_pieces(unit, *pieces, copies, ref);
    }
    if (const auto* bytes = std::get_if<Bytes>(&entry)) {
      unit.inline_bytes = *bytes;
    } else {
      unit.digest = std::get<Digest>(entry);
      unit.copy = copies[0];
      unit.ref = ref;
    }
    units_.push_back(std::move(unit));
    return {};
  }

  Status add_pieces(const ReadUnit& whole, const std::vector<Piece>& pieces,
                    std::span<const Copy> copies, const CopyRef& first) {
    if (!make_up(piece_boxes(pieces), whole.box)) {
      return fail(Code::kCorrupt,
                  fmt::format("the pieces of chunk {} of tensor '{}' do not make it up",
                              whole.chunk, checkpoint_.item_name(whole.tensor)));
    }
    for (size_t i = 0; i < pieces.size(); ++i) {
      ReadUnit piece = whole;
      piece.box = {pieces[i].offsets, pieces[i].lengths};
      piece.digest = pieces[i].digest;
      piece.copy = copies[i];
      piece.ref = {first.page, first.slot + static_cast<uint32_t>(i)};
      std::erase_if(piece.targets,
                    [&](uint32_t target) { return !intersect(piece.box, targets_[target].box); });
      if (!piece.targets.empty()) units_.push_back(std::move(piece));
    }
    return {};
  }

  Checkpoint& checkpoint_;
  const std::vector<TargetBox>& targets_;
  const std::function<Status(std::vector<ReadUnit>)>& read_;
  std::vector<ReadUnit> units_;
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
    plan.bytes += planned->box.elements() * planned->item_bytes;
    plan.targets.push_back(*std::move(planned));
  }
  return plan;
}

Status for_each_batch(Checkpoint& checkpoint, const std::vector<TargetBox>& targets,
                      const std::function<Status(std::vector<ReadUnit>)>& read) {
  return UnitFinder(checkpoint, targets, read).find();
}

}  // namespace cairn
