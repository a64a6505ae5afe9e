// What a copy that is made from others would take if it were stored by itself, about: as much as
// the keyframe that it goes back to, else as keyframes of such items do.
#pragma once

#include <map>

#include "store/decode_plan.h"

namespace cairn {

/// Threads: one.
class AloneShares {
 public:
  void note(const Copy& copy);
  /// `number`: of a copy in the plan.
  uint64_t stored_bytes(const DecodePlan& plan, uint32_t number) const;

 private:
  struct Sum {
    uint64_t stored = 0, decoded = 0;
  };

  std::map<uint8_t, Sum> keyframes_;  // by item form
};

}  // namespace cairn
