// What is sent: bytes that lie in pieces, one after the other.
#pragma once

#include <vector>

#include "base/bytes.h"

namespace cairn::remote {

/// Borrows its bytes. Copies are cheap: pieces are few.
class Body {
 public:
  Body() = default;
  // NOLINTBEGIN(google-explicit-constructor): bytes are a body.
  Body(ByteSpan all);
  Body(const Bytes& all) : Body(ByteSpan(all)) {}
  // NOLINTEND(google-explicit-constructor)
  explicit Body(std::vector<ByteSpan> pieces);

  uint64_t size() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  /// None is empty.
  const std::vector<ByteSpan>& pieces() const { return pieces_; }
  /// To `out`, from `offset`. REQUIRES: so many bytes lie there.
  void copy(uint64_t offset, void* out, size_t bytes) const;
  /// In one piece, which is `room` where there are several.
  ByteSpan joined(Bytes& room) const;

 private:
  std::vector<ByteSpan> pieces_;
  uint64_t bytes_ = 0;
};

}  // namespace cairn::remote
