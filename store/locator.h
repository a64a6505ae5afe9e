// Where the chunks of one page lie (docs/FORMAT.md, section 6). Physical: gc may replace a locator;
// the page and the manifest stay as they are.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/error.h"
#include "store/file_id.h"

namespace cairn {

inline constexpr size_t kBasesMax = 8;

/// A copy that another copy is decoded with. Named by what its page holds, so that it means the
/// same in every tag and wherever gc puts the copy: the locator table of the tag at hand knows
/// where.
struct BaseRef {
  Digest page;  ///< the digest of its page
  uint32_t slot = 0;

  bool operator==(const BaseRef&) const = default;
};

/// One stored copy of a chunk or piece.
struct Copy {
  FileId pack;
  uint64_t offset = 0;
  uint32_t stored_bytes = 0;
  uint32_t decoded_bytes = 0;
  Encoding encoding = Encoding::kRaw;
  std::vector<BaseRef> bases;  ///< at most kBasesMax
  Bytes parameters;

  bool operator==(const Copy&) const = default;
};

/// The copies of a page in slot order.
struct Locator {
  std::vector<Copy> copies;
};

Bytes encode_locator(const Locator& locator);
Result<Locator> decode_locator(ByteSpan bytes);

}  // namespace cairn
