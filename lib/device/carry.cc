#include "lib/device/carry.h"

#include <algorithm>

#include "gpu/device.h"

namespace cairn {

namespace {

/// A box whose first axes are fixed.
struct Rest {
  const uint8_t* from;
  uint8_t* to;
  size_t axis;
};

struct Carrier {
  gpu::Stream stream;
  const StridedSource& from;
  const StridedTarget& to;
  const std::vector<uint64_t>& lengths;
  uint64_t item_bytes;
  bool is_down;

  /// How many axes from the last on lie back to back on both sides.
  size_t run_begin() const {
    size_t axis = lengths.size();
    auto run = static_cast<int64_t>(item_bytes);
    while (axis > 0 && from.strides_bytes[axis - 1] == run && to.strides_bytes[axis - 1] == run) {
      run *= static_cast<int64_t>(lengths[--axis]);
    }
    return axis;
  }

  Status carry(const Rest& rest, size_t run, uint64_t run_bytes) const {
    if (rest.axis == run) {
      return is_down ? gpu::copy_down(stream, {rest.to, run_bytes}, rest.from)
                     : gpu::copy_up(stream, rest.to, {rest.from, run_bytes});
    }
    for (uint64_t i = 0; i < lengths[rest.axis]; ++i) {
      const auto at = static_cast<int64_t>(i);
      CAIRN_CHECK(carry({rest.from + at * from.strides_bytes[rest.axis],
                         rest.to + at * to.strides_bytes[rest.axis], rest.axis + 1},
                        run, run_bytes));
    }
    return {};
  }
};

}  // namespace

Status carry_box(gpu::Stream stream, const StridedSource& from, const StridedTarget& to,
                 const std::vector<uint64_t>& lengths, uint64_t item_bytes, bool is_down) {
  const Carrier carrier{stream, from, to, lengths, item_bytes, is_down};
  const size_t run = carrier.run_begin();
  uint64_t run_bytes = item_bytes;
  for (size_t axis = run; axis < lengths.size(); ++axis) run_bytes *= lengths[axis];
  if (run_bytes == 0) return {};
  return carrier.carry({from.data, to.data, 0}, run, run_bytes);
}

/// What one device has of it. REQUIRES: the device is the current one.
static Status carry_from(Lane& lane, const Content& content, MutableBytes to) {
  CAIRN_CHECK(lane.wait_for_caller());
  for (size_t i = 0; i < content.boxes.size(); ++i) {
    if (content.memories[i] != lane.device()) continue;
    const PlacedBox& box = content.boxes[i];
    CAIRN_CHECK(carry_box(lane.copies(), box.memory, {to.data() + box.offset, box.strides_bytes},
                          box.lengths, box.item_bytes, true));
  }
  lane.count_brought(to.size());
  return gpu::synchronize(lane.copies());
}

Status carry(const Lanes& lanes, const Content& content, MutableBytes to) {
  for (size_t i = 0; i < content.boxes.size(); ++i) {
    if (content.memories[i]) continue;
    const PlacedBox& box = content.boxes[i];
    copy_box(box.memory, {to.data() + box.offset, box.strides_bytes}, box.lengths, box.item_bytes);
  }
  for (const auto& [device, lane] : lanes) {
    const auto& memories = content.memories;
    if (std::find(memories.begin(), memories.end(), device) == memories.end()) continue;
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
    CAIRN_CHECK(carry_from(*lane, content, to));
  }
  return {};
}

}  // namespace cairn
