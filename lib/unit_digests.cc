#include "lib/unit_digests.h"

#include <algorithm>

#include "base/buffer.h"
#include "base/pipeline.h"
#include "gpu/chunk_digester.h"
#include "lib/staged_calls.h"
#include "lib/strided.h"

namespace cairn {

/// So many at a time keep the digest's lanes full.
static constexpr size_t kTurnUnits = 64;

static std::optional<DigestInput> rows_of(const SavePlan& plan, const Unit& unit) {
  if (unit.sources.size() != 1) return std::nullopt;
  const PlannedTensor& tensor = plan.tensors[unit.item];
  const SourceBox& source = tensor.boxes[unit.sources.front()];
  const StridedSource at =
      sub_box(StridedSource{source.data, source.strides_bytes}, source.box, unit.box);
  const auto rows = as_rows(at.strides_bytes, unit.box.lengths, tensor.form.item_bytes);
  if (!rows) return std::nullopt;
  return DigestInput{at.data, rows->row_bytes, rows->stride_bytes, rows->rows};
}

static Status digest_turn(const SavePlan& plan, std::span<const Unit* const> units,
                          std::span<Digest> digests) {
  thread_local AlignedBuffer room;
  std::vector<DigestInput> inputs;
  std::vector<size_t> places;
  for (size_t i = 0; i < units.size(); ++i) {
    if (const auto rows = rows_of(plan, *units[i])) {
      inputs.push_back(*rows);
      places.push_back(i);
      continue;
    }
    const uint64_t bytes = plan.unit_bytes(*units[i]);
    if (room.size() < bytes) room = AlignedBuffer(bytes);
    gather(plan, *units[i], room.span().first(bytes));
    digests[i] = blake3(room.span().first(bytes));
  }
  std::vector<Digest> made(inputs.size());
  CAIRN_CHECK(host_digester().digest(inputs, made));
  for (size_t i = 0; i < places.size(); ++i) digests[places[i]] = made[i];
  return {};
}

Result<std::vector<Digest>> digest_units(const SavePlan& plan, std::span<const Unit* const> units,
                                         StagedSave* staged, const CallOptions& call) {
  std::vector<const Unit*> here, staged_units;
  std::vector<size_t> places, staged_places;
  for (size_t i = 0; i < units.size(); ++i) {
    const bool is_staged = plan.is_on_device(*units[i]);
    (is_staged ? staged_units : here).push_back(units[i]);
    (is_staged ? staged_places : places).push_back(i);
  }
  std::vector<Digest> digests(units.size()), made(here.size());
  const uint64_t turns = (here.size() + kTurnUnits - 1) / kTurnUnits;
  CAIRN_CHECK(parallel_for(turns, call.threads, [&](uint64_t turn) -> Status {
    if (call.stop != nullptr && *call.stop) return fail(Code::kCancelled, "the save was stopped");
    const size_t first = turn * kTurnUnits, count = std::min(kTurnUnits, here.size() - first);
    return digest_turn(plan, std::span(here).subspan(first, count),
                       std::span(made).subspan(first, count));
  }));
  for (size_t i = 0; i < here.size(); ++i) digests[places[i]] = made[i];
  if (staged_units.empty()) return digests;
  CAIRN_TRY(const auto of_devices, staged->digest(plan, staged_units));
  for (size_t i = 0; i < staged_units.size(); ++i) digests[staged_places[i]] = of_devices[i];
  return digests;
}

}  // namespace cairn
