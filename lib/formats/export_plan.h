// What an export writes, before it writes: which tensors, under which names, as what.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/formats/export_files.h"

namespace cairn {

struct ExportedTensor {
  std::string stored, name;
  Dtype dtype = Dtype::kU8;
  Shape shape;
  uint64_t bytes = 0;
  const TensorInfo* info = nullptr;  ///< of the checkpoint
};

/// In the request's order. Errors: kNotFound; kUsage for two tensors of one name, names that are no
/// UTF-8, and conversions that are not possible.
Result<std::vector<ExportedTensor>> plan_export(const Checkpoint& checkpoint,
                                                const ExportRequest& request);

/// A tensor, and where its bytes belong in what is written.
struct PlacedTensor {
  const ExportedTensor* tensor = nullptr;
  uint64_t at = 0;
};

/// Whether tensors can be read one after the other. Otherwise some are made from each other, and
/// are read side by side.
bool is_read_in_order(const Checkpoint& checkpoint);

/// Gives all bytes of the tensors to the sink: in order if is_read_in_order(), else each tensor's
/// in order. Errors: kCorrupt, the sink's.
Status stream_tensors(Checkpoint& checkpoint, const CallOptions& call,
                      const std::vector<PlacedTensor>& tensors,
                      const std::function<Status(uint64_t at, ByteSpan bytes)>& sink);

}  // namespace cairn
