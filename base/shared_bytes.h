// Bytes together with who keeps their memory, so that a writer can hold on to them instead of
// copying them.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace cairn {

/// With an owner the bytes stay, unchanged, as long as it is held; without they are borrowed for
/// the call.
struct SharedBytes {
  SharedBytes() = default;
  // NOLINTBEGIN(google-explicit-constructor): borrowed bytes are bytes.
  SharedBytes(ByteSpan borrowed) : bytes(borrowed) {}
  SharedBytes(const Bytes& borrowed) : bytes(borrowed) {}
  // NOLINTEND(google-explicit-constructor)
  SharedBytes(ByteSpan kept, std::shared_ptr<const void> keeper)
      : bytes(kept), owner(std::move(keeper)) {}

  size_t size() const { return bytes.size(); }

  ByteSpan bytes;
  std::shared_ptr<const void> owner;  ///< null: there is none
};

}  // namespace cairn
