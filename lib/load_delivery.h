// The last step of a load: the decoded bytes of a chunk or piece go into the targets that want some
// of them, in the host's memory or on devices.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/load_plan.h"
#include "lib/staged_calls.h"

namespace cairn {

/// Threads: any.
class LoadDelivery {
 public:
  /// `staged`: what brings bytes to devices; null where no target is on one. REQUIRES: all outlive
  /// this.
  LoadDelivery(const Checkpoint& checkpoint, const LoadRequest& request,
               const std::vector<TargetBox>& targets, StagedLoad* staged)
      : checkpoint_(checkpoint), request_(request), targets_(targets), staged_(staged) {}

  uint64_t bytes_of(const ReadUnit& unit) const {
    return unit.box.elements() * targets_[unit.targets.front()].item_bytes;
  }
  /// Errors: kCorrupt when the copy's decoded bytes are not as many.
  Status check_length(const ReadUnit& unit, uint64_t bytes) const;
  /// The host's memory where the unit's bytes go as they are: together, and nowhere else.
  std::optional<MutableBytes> place_of(const ReadUnit& unit) const;
  /// Whether all that want the unit are on one device, which can check it as well.
  bool is_of_one_device(const ReadUnit& unit) const;

  /// Bytes that were put where they go, or are on their way to a device.
  void count_done(uint64_t bytes) const;
  /// Copies checked bytes to all that want them.
  Status scatter(const ReadUnit& unit, ByteSpan decoded) const;
  /// The same of bytes that nobody has checked, and that `fill` puts where the device reads them.
  /// `plane_item_bytes`: as of a StagedUnit, which says what `fill` puts there.
  /// REQUIRES: is_of_one_device(unit). Errors: kCorrupt, maybe at the next call or finish().
  Status send(const ReadUnit& unit, unsigned plane_item_bytes,
              const std::function<Status(MutableBytes)>& fill) const;

  /// Whether one device alone wants both, so that it can make the one of the other.
  bool go_together(const ReadUnit& unit, const ReadUnit& derived) const;
  /// Sends a unit, as send() does, of which the device makes another. False when it has no room
  /// for that: nothing was done. `is_checked`: what `fill` puts there is, by the host.
  /// REQUIRES: go_together().
  struct Sent {
    const ReadUnit& unit;
    bool is_checked = false;
    unsigned plane_item_bytes = 0;
    std::function<Status(MutableBytes)> fill;
  };
  Result<bool> send_with(const Sent& sent, const ReadUnit& derived, Cast cast,
                         ByteSpan residuals) const;

  /// Says of which tag, tensor and chunk an error tells.
  Error about(const ReadUnit& unit, Error error) const;

 private:
  Status put(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) const;
  StagedUnit staged_unit(const ReadUnit& unit, unsigned device) const;
  StagedUnit unchecked_unit(const ReadUnit& unit) const;
  uint64_t copy_to_host(const ReadUnit& unit, const TargetBox& target, ByteSpan decoded) const;
  bool is_of_device(const Error& error) const;

  const Checkpoint& checkpoint_;
  const LoadRequest& request_;
  const std::vector<TargetBox>& targets_;
  StagedLoad* const staged_;
  mutable std::mutex found_mutex_;
  /// What a device has found in a unit, named. It is told to whoever comes next, and not of theirs.
  mutable std::optional<Error> found_by_device_;
};

/// Copies a box of stored items to where the target has it, converted if that is wanted.
void copy_converted(const StridedSource& source, const StridedTarget& memory,
                    const std::vector<uint64_t>& lengths, const TargetBox& target);

}  // namespace cairn
