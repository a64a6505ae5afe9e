// Between what checks a call of a transform and the kernels that do it.
#pragma once

#include "gpu/coded_memory.h"
#include "gpu/kernel.h"
#include "gpu/transform_plan.h"
#include "gpu/transform_work.h"

namespace cairn::gpu {

enum class TransformAction : uint8_t { kCount, kEncode, kDecode };

struct TransformCall {
  Stream stream;
  Shape shape;
  TransformAction action = TransformAction::kCount;
  Coding coding = Coding::kPlanes;
  TransformWork work{};
  CodedMemory coded{};
};

// Each for items of the widths that it may have. Errors: kFailed.
Status launch_plain(const TransformCall& call, unsigned item_bytes);
Status launch_derived(const TransformCall& call, unsigned item_bytes);
Status launch_replay(const TransformCall& call, unsigned item_bytes);
Status launch_find_gradients(const TransformCall& call, unsigned item_bytes);

}  // namespace cairn::gpu
