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

/// Names of attachments.
struct AttachmentDiff {
  std::vector<std::string> changed, added, removed;
  bool is_empty() const { return changed.empty() && added.empty() && removed.empty(); }
};

struct DiffRequest {
  std::function<bool(const std::string& name)> wants;  ///< unset: every tensor
  bool elements = false;
  /// Else tensors alone are compared.
  bool beyond_tensors = true;
};

struct DiffResult {
  std::vector<ChangedTensor> changed;
  std::vector<std::string> added, removed, reshaped;
  uint64_t tensors = 0;  ///< compared
  AttachmentDiff attachments;
  bool metadata_changed = false;  ///< of the user or of the files
  bool step_changed = false;
  bool same_tensors() const {
    return changed.empty() && added.empty() && removed.empty() && reshaped.empty();
  }
  bool identical() const {
    return same_tensors() && attachments.is_empty() && !metadata_changed && !step_changed;
  }
  /// Neither side has a tensor that was wanted.
  bool is_empty() const { return tensors == 0 && same_tensors(); }
};

/// Chunks are compared by their identity, so no data is read, except for `elements` and where a
/// chunk is whole on one side and in pieces on the other. Errors: kCorrupt.
Result<DiffResult> diff(Checkpoint& a, Checkpoint& b, const DiffRequest& request);

}  // namespace cairn
