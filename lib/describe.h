// What a checkpoint's tensors are and how they are stored.
#pragma once

#include <string>
#include <vector>

#include "store/checkpoint.h"
#include "store/encoding_usage.h"

namespace cairn {

struct TensorDescription {
  std::string name;
  uint8_t dtype = 0;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  uint64_t chunks = 0;
  uint64_t new_bytes = 0;     ///< decoded bytes of copies the tag's save stored
  uint64_t stored_bytes = 0;  ///< of all its copies; inline chunks as they are
  UsageByEncoding encodings;
};

/// One tensor. A copy that several chunks share is counted with each.
Result<TensorDescription> describe_tensor(Checkpoint& checkpoint, size_t tensor);

/// The class of a tensor: its role's name where the layout knows one, else "other".
std::string tensor_class(const Layout& layout, size_t tensor);

}  // namespace cairn
