// How one save was cut among its writers, and what its tensors are to their optimizer
// (docs/FORMAT.md, section 8). Not part of a checkpoint's identity.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "store/schema.h"

namespace cairn {

enum class Role : uint8_t {
  kNone = 0,
  kWeight = 1,
  kMaster = 2,
  kExpAvg = 3,
  kExpAvgSq = 4,
  kStep = 5,
  kOther = 6,
  kMaxExpAvgSq = 7,  ///< of amsgrad
};
std::string_view role_name(Role role);

struct LayoutBox {
  uint32_t writer = 0;
  std::vector<uint64_t> offsets, lengths;  ///< in elements of the tensor's own shape
};

struct TensorLayout {
  Role role = Role::kNone;
  std::string parameter;  ///< whose weight, master, ... it is; empty without a role
  std::vector<LayoutBox> boxes;
};

struct Layout {
  uint32_t writers = 1;
  std::vector<TensorLayout> tensors;  ///< in schema order
};

Bytes encode_layout(const Layout& layout, const Schema& schema);
Result<Layout> decode_layout(ByteSpan bytes, const Schema& schema);

}  // namespace cairn
