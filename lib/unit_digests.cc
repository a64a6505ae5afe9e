#include "lib/unit_digests.h"

#include <algorithm>

#include "base/buffer.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "lib/staged_calls.h"

namespace cairn {

/// So many at a time keep the digest's lanes full.
static constexpr size_t kTurnUnits = 64;

static void digest_turn(const SavePlan& plan, std::span<const Unit* const> units,
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
  blake3_many(inputs, made);
  for (size_t i = 0; i < places.size(); ++i) digests[places[i]] = made[i];
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
  const Status digested = parallel_for(turns, call.threads, [&](uint64_t turn) -> Status {
    CAIRN_CHECK(unless_stopped(call.stop, "the save"));
    const size_t first = turn * kTurnUnits, count = std::min(kTurnUnits, here.size() - first);
    digest_turn(plan, std::span(here).subspan(first, count), std::span(made).subspan(first, count));
    return {};
  });
  CAIRN_CHECK(digested);
  for (size_t i = 0; i < here.size(); ++i) digests[places[i]] = made[i];
  if (staged_units.empty()) return digests;
  CAIRN_TRY(const auto of_devices, staged->digest(plan, staged_units));
  for (size_t i = 0; i < staged_units.size(); ++i) digests[staged_places[i]] = of_devices[i];
  return digests;
}

}  // namespace cairn
