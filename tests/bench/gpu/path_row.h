// What the benchmark of the device path measures: rows with what was asked, and copies of the same
// run beside each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/bench/gpu/measure.h"

namespace cairn {

struct PathOptions {
  uint64_t state_bytes = 0, chunk_elements = uint64_t{1} << 19;
  uint64_t slab_bytes = 0, pinned_bytes = 0, device_bytes = 0;
  unsigned multiprocessors = 0, rounds = 20;
  double changed = 0.1;
  uint64_t period = 20;  ///< one element in so many changes
  std::string folder, only;
};

/// GB/s of plain copies between the device and pinned memory, a value a round.
struct CopyRates {
  std::vector<double> down, up;
};

/// What is asked of a row: at least, or at most, `must`.
struct Asked {
  double must = 0, aim = 0;
  bool is_most = false;
  bool is_exact = false;  ///< it depends on no speed, so a simulation must meet it too

  bool is_met(double value) const { return is_most ? value <= must : value >= must; }
  bool is_aim_met(double value) const { return is_most ? value <= aim : value >= aim; }
};

struct PathRow {
  std::string name, unit;
  std::vector<double> values;  ///< one a round
  std::optional<Asked> asked;
  CopyRates copies;  ///< of the same rounds
};

/// The parts of the benchmark; each adds its rows. Errors: kFailed telling what was not equal;
/// those of saves, loads and the device.
Status measure_copies(const PathOptions& options, std::vector<PathRow>& rows);
Status measure_unchanged(const PathOptions& options, std::vector<PathRow>& rows);
Status measure_resident(const PathOptions& options, std::vector<PathRow>& rows);

}  // namespace cairn
