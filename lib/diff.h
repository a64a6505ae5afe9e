// What changed between two checkpoints, chunk by chunk and, if asked, element by element.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "store/checkpoint.h"

namespace cairn {

struct ChangedTensor {
  std::string name;
  std::string tensor_class;
  uint64_t chunks = 0;
  uint64_t changed_chunks = 0;
  uint64_t bytes = 0;
  uint64_t changed_bytes = 0;     ///< decoded bytes of changed chunks
  uint64_t changed_elements = 0;  ///< by their bits; only when asked for
};

struct DiffRequest {
  std::function<bool(const std::string& name)> wants;  ///< unset: every tensor
  bool elements = false;
};

struct DiffResult {
  std::vector<ChangedTensor> changed;
  std::vector<std::string> added, removed, reshaped;
  uint64_t tensors = 0;  ///< compared
  bool identical() const {
    return changed.empty() && added.empty() && removed.empty() && reshaped.empty();
  }
  /// Neither side has a tensor that was wanted.
  bool is_empty() const { return tensors == 0 && identical(); }
};

/// Chunks are compared by their identity, so no data is read, except for `elements` and where a
/// chunk is whole on one side and in pieces on the other. Errors: kCorrupt.
Result<DiffResult> diff(Checkpoint& a, Checkpoint& b, const DiffRequest& request);

}  // namespace cairn
