// The schema of a checkpoint: its tensors' names, dtypes and shapes (docs/FORMAT.md, section 5). It
// is stored apart from the manifest, so that the tags of one training run share it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

inline constexpr size_t kRankMax = 16;

struct TensorInfo {
  std::string name;
  uint8_t dtype = 0;            ///< code of docs/FORMAT.md section 9; lib/dtype.h gives meaning
  std::vector<uint64_t> shape;  ///< in elements
  uint64_t chunk_count = 0;
};

struct Schema {
  uint64_t chunk_elements = 0;
  std::vector<TensorInfo> tensors;  ///< in increasing order of the names' bytes, none twice
};

Bytes encode_schema(const Schema& schema);
Result<Schema> decode_schema(ByteSpan bytes);

}  // namespace cairn
