// The plan of a load: where bytes go, made before the first byte of a pack is read; and which
// copies to read for it, each once, found a batch at a time so that memory stays bounded.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/strided.h"
#include "store/checkpoint.h"

namespace cairn {

/// A box of the caller's memory in storage coordinates.
struct TargetBox {
  size_t tensor = 0;  ///< in the schema
  Box box;
  StridedTarget memory;
  uint64_t item_bytes = 1;  ///< of the stored items
  Dtype stored = Dtype::kU8;
  Dtype wanted = Dtype::kU8;
  std::optional<uint32_t> device = {};  ///< whose memory it is; unset: the host's
};

/// One chunk or piece that some target needs.
struct ReadUnit {
  Copy copy;
  CopyRef ref;    ///< where the checkpoint has the copy
  Digest digest;  ///< unused where inline_bytes are set
  Bytes inline_bytes;
  size_t tensor = 0;
  uint64_t chunk = 0;
  Box box;  ///< of the unit, in storage coordinates
  std::vector<uint32_t> targets;
};

struct LoadPlan {
  std::vector<TargetBox> targets;
  uint64_t bytes = 0;  ///< that targets receive
};

/// Errors: kUsage with everything that does not fit, in words; kCorrupt.
Result<LoadPlan> plan_load(Checkpoint& checkpoint, const LoadRequest& request);

/// Fills the targets, as load() does. Errors: the same.
Result<LoadResult> load_planned(Checkpoint& checkpoint, const LoadRequest& request,
                                const LoadPlan& plan);
/// What brings bytes to devices; null where no target is on one. Errors: kUsage without a staging.
Result<std::unique_ptr<StagedLoad>> begin_staged_load(const LoadRequest& request,
                                                      const std::vector<TargetBox>& targets);

/// Hands the units of all targets to `read`, tensor by tensor, in batches of some ten thousand:
/// inline ones first, then by pack and offset. Errors: kCorrupt; those of `read`.
Status for_each_batch(Checkpoint& checkpoint, const std::vector<TargetBox>& targets,
                      const std::function<Status(std::vector<ReadUnit>)>& read);

}  // namespace cairn
