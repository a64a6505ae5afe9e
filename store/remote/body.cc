#include "store/remote/body.h"

#include <algorithm>

namespace cairn::remote {

Body::Body(ByteSpan all) : bytes_(all.size()) {
  if (!all.empty()) pieces_.push_back(all);
}

Body::Body(std::vector<ByteSpan> pieces) : pieces_(std::move(pieces)) {
  std::erase_if(pieces_, [](ByteSpan piece) { return piece.empty(); });
  for (const ByteSpan piece : pieces_) bytes_ += piece.size();
}

void Body::copy(uint64_t offset, void* out, size_t bytes) const {
  auto* to = static_cast<uint8_t*>(out);
  for (const ByteSpan piece : pieces_) {
    const size_t skipped = std::min<size_t>(offset, piece.size());
    const size_t taken = std::min<size_t>(bytes, piece.size() - skipped);
    to = std::copy_n(piece.data() + skipped, taken, to);
    offset -= skipped;
    bytes -= taken;
  }
}

ByteSpan Body::joined(Bytes& room) const {
  if (pieces_.size() == 1) return pieces_.front();
  room.resize(bytes_);
  copy(0, room.data(), room.size());
  return room;
}

}  // namespace cairn::remote
