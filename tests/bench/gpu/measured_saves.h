// Saves of a state in a device's memory that are timed, then loaded into other memory there and
// compared, byte by byte, on the host.
#pragma once

#include <memory>
#include <optional>

#include "lib/cairn.hpp"
#include "tests/bench/gpu/device_state.h"
#include "tests/bench/gpu/plain_copies.h"
#include "tests/support/temp_folder.h"

namespace cairn {

struct MeasuredSave {
  double fence_s = 0;   ///< until the tensors may change
  double return_s = 0;  ///< until the tag is there
  double load_s = 0;    ///< of the same tag, into other memory of the device
  uint64_t brought_bytes = 0;
};

class MeasuredSaves {
 public:
  /// A store in the folder, for saves of such a state. Errors: kNoSpace; kFailed.
  static Result<std::unique_ptr<MeasuredSaves>> make(const PathOptions& options,
                                                     const DeviceState& state);

  /// Saves the state, loads it and compares. `base`: a tag; `resident`: the memory where the state
  /// still lies as it was saved there; null: nowhere. Errors: kFailed where something differs, or
  /// the device had no room; those of save and load.
  Result<MeasuredSave> save(const std::string& tag, const std::string& base,
                            const uint8_t* resident = nullptr);
  /// Beside the saves.
  Status add_rates(CopyRates& rates) { return copies_.add_rates(state_.memory().span(), rates); }

 private:
  MeasuredSaves(const PathOptions& options, const DeviceState& state)
      : state_(state), folder_(options.folder) {}
  Result<double> load_and_compare(const std::string& tag);
  Status compare();

  const DeviceState& state_;
  TempFolder folder_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Staging> staging_;
  gpu::DeviceMemory loaded_;
  PlainCopies copies_;
};

}  // namespace cairn
