// A cluster: the same chunk of the tensors of one group, on its way into the store.
#pragma once

#include <optional>
#include <vector>

#include "base/encodings/item_form.h"
#include "lib/base_tag.h"
#include "lib/chunk_writer.h"
#include "lib/dtype.h"
#include "store/layout.h"

namespace cairn {

struct Member {
  size_t item = 0;
  Role role = Role::kNone;
  Dtype dtype = Dtype::kU8;
  ItemForm form;
  Digest digest;
  OwnPlace place;
  bool is_tensor = true;
  bool is_inline = false;        ///< it lies in its page: nothing can be made from it
  bool is_wanted = false;        ///< it is to be stored
  ByteSpan now;                  ///< its bytes
  std::optional<BaseUnit> base;  ///< the same box of the base tag
  ByteSpan before;               ///< the bytes of that; empty without
};

/// Whether a tensor of that role and dtype is a weight: what loads that want no optimizer ask for.
inline bool is_weight(Role role, Dtype dtype) {
  return role == Role::kWeight || (role == Role::kNone && dtype != Dtype::kF32);
}

/// In the order of SaveGroup: a member may be made from those before it.
using Cluster = std::vector<Member>;

}  // namespace cairn
