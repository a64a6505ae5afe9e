// Saves of which most is as it was before: chunks that did not change, and elements that did not,
// the base being on the device.
#include <fmt/format.h>

#include <functional>

#include "tests/bench/gpu/measured_saves.h"

namespace cairn {

namespace {

/// What all saves of a kind are measured by.
struct SaveRows {
  SaveRows(const std::string& kind, Asked brought)
      : until_fence{kind + ": until the fence", "GB/s", {}, {}, {}},
        until_return{kind + ": until it returns", "GB/s", {}, {}, {}},
        fence_ms{kind + ": until the fence", "ms", {}, {}, {}},
        bytes_brought{kind + ": brought of all bytes", "x", {}, brought, {}},
        loaded{kind + ": load into the device", "GB/s", {}, {}, {}} {}

  void add(const MeasuredSave& save, const DeviceState& state) {
    const auto bytes = static_cast<double>(state.bytes());
    until_fence.values.push_back(bytes / 1e9 / save.fence_s);
    until_return.values.push_back(bytes / 1e9 / save.return_s);
    fence_ms.values.push_back(1000 * save.fence_s);
    bytes_brought.values.push_back(static_cast<double>(save.brought_bytes) / bytes);
    loaded.values.push_back(bytes / 1e9 / save.load_s);
  }

  void give(const CopyRates& copies, std::vector<PathRow>& rows) {
    for (PathRow* row : {&until_fence, &fence_ms, &until_return, &bytes_brought, &loaded}) {
      row->copies = copies;
      rows.push_back(std::move(*row));
    }
  }

  PathRow until_fence, until_return, fence_ms, bytes_brought, loaded;
};

/// The first save, of all bytes, and one that nothing is measured by: what is kept from save to
/// save is made in these.
constexpr unsigned kUnmeasured = 1;

/// `change` makes the state of a round; `base_of` names its base.
struct Series {
  std::function<Status(unsigned round)> change;
  std::function<std::string(unsigned round)> base_of;
  const uint8_t* resident = nullptr;
};

Status measure(MeasuredSaves& saves, const Series& series, unsigned rounds,
               const std::function<void(const MeasuredSave&)>& add, CopyRates& copies) {
  CAIRN_CHECK(saves.save("run/0", "none"));
  for (unsigned round = 1; round <= rounds + kUnmeasured; ++round) {
    CAIRN_CHECK(series.change(round));
    CAIRN_TRY(const MeasuredSave saved,
              saves.save(fmt::format("run/{}", round), series.base_of(round), series.resident));
    if (round <= kUnmeasured) continue;
    add(saved);
    CAIRN_CHECK(saves.add_rates(copies));
  }
  return {};
}

}  // namespace

Status measure_unchanged(const PathOptions& options, std::vector<PathRow>& rows) {
  SaveRows measured("save, 90 % of chunks unchanged", {0.11, 0.105, true, true});
  measured.until_fence.asked = Asked{400, 500};
  CAIRN_TRY(auto state,
            DeviceState::make(StateKind::kTraining, options.state_bytes, options.chunk_elements));
  CAIRN_TRY(const auto saves, MeasuredSaves::make(options, state));
  const Series series{[&](unsigned round) { return state.change_chunks(options.changed, round); },
                      [](unsigned round) { return fmt::format("run/{}", round - 1); }};
  CopyRates copies;
  CAIRN_CHECK(measure(
      *saves, series, options.rounds, [&](const auto& save) { measured.add(save, state); },
      copies));
  measured.give(copies, rows);
  return {};
}

Status measure_resident(const PathOptions& options, std::vector<PathRow>& rows) {
  SaveRows measured("save, 5 % of BF16 changed, base on the device", {0.15, 0.10, true, true});
  CAIRN_TRY(auto state, DeviceState::make(StateKind::kWeights, options.state_bytes / 2,
                                          options.chunk_elements));
  CAIRN_TRY(const auto saves, MeasuredSaves::make(options, state));
  CAIRN_TRY(const auto before, gpu::DeviceMemory::allocate(state.bytes()));
  CAIRN_CHECK(gpu::copy_within({}, before.data(), state.memory().data(), state.bytes()));
  // All are made from the first one, so each is as large as the next.
  const auto change = [&](unsigned round) -> Status {
    CAIRN_CHECK(gpu::copy_within({}, state.memory().data(), before.data(), state.bytes()));
    return state.change_elements(options.period, round);
  };
  const Series series{change, [](unsigned) { return std::string("run/0"); }, before.data()};
  CopyRates copies;
  CAIRN_CHECK(measure(
      *saves, series, options.rounds, [&](const auto& save) { measured.add(save, state); },
      copies));
  measured.give(copies, rows);
  return {};
}

}  // namespace cairn
