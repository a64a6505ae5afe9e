// Keeps the best of what was tried on a sample.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "base/replay/replay.h"
#include "base/replay/sample.h"

namespace cairn {

class ReplayFitter {
 public:
  /// `itself`: the base that is the items' own past.
  ReplayFitter(ReplayRule rule, const ReplaySample& sample, size_t itself);

  /// True when this predicts better than all before.
  bool attempt(uint8_t variant, std::vector<uint32_t> scalars);
  /// The best so far with one scalar moved by whole units in the last place, as long as that helps.
  void polish(size_t scalar);

  bool has_best() const { return found_; }
  const ReplayParameters& best() const { return best_; }
  double exact_share() const;
  /// The best, if it beats the items' own past clearly.
  std::optional<ReplayParameters> result() const;
  const ReplaySample& sample() const { return sample_; }

 private:
  ReplayCost cost_of(const ReplayParameters& parameters) const;

  const ReplaySample& sample_;
  ReplayParameters best_;
  ReplayCost cost_;
  uint64_t past_bits_ = 0;
  bool found_ = false;
};

/// The bits of a scalar that the trainer holds in F64 and rounds to F32.
uint32_t scalar_bits(double value);
/// Appends an F64 in two words.
void append_wide(std::vector<uint32_t>& scalars, double value);

}  // namespace cairn
