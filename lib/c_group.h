// The C ABI: the ranks of a call, as the library knows them.
#pragma once

#include "lib/c_abi.h"
#include "lib/rank_group.h"

namespace cairn::c_abi {

/// Lent by a caller in C. Lives as long as the call.
class LentGroup {
 public:
  /// Errors: kUsage for a group whose size is not set.
  Status read(const cairn_group* given);
  /// Null where none was given.
  const RankGroup* group() const { return is_given_ ? &group_ : nullptr; }

 private:
  static HostAnswer all_gather(void* context, const uint8_t* own, uint64_t bytes, uint8_t* all,
                               HostWait* wait);
  static HostAnswer broadcast(void* context, uint8_t* data, uint64_t bytes, unsigned root,
                              HostWait* wait);
  static HostAnswer look(void* context, HostWait* wait);

  cairn_group given_ = {};
  RankGroup group_;
  bool is_given_ = false;
};

}  // namespace cairn::c_abi
