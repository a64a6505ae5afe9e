#include "store/remote/upload_part.h"

#include <cstring>

#include "store/remote/crc32.h"

namespace cairn::remote {

void UploadPart::append(const SharedBytes& data, BufferPool::User& buffers) {
  if (data.owner != nullptr) {
    if (owners_.empty() || owners_.back() != data.owner) owners_.push_back(data.owner);
    add_piece(data.bytes);
    return;
  }
  if (room_ == nullptr) room_ = buffers.take();
  const MutableBytes copied = room_->span().subspan(room_bytes_, data.size());
  std::memcpy(copied.data(), data.bytes.data(), data.size());
  room_bytes_ += data.size();
  add_piece(copied);
}

void UploadPart::add_piece(ByteSpan piece) {
  crc32_ = crc32_of(piece, crc32_);
  bytes_ += piece.size();
  if (!pieces_.empty() && pieces_.back().data() + pieces_.back().size() == piece.data()) {
    pieces_.back() = {pieces_.back().data(), pieces_.back().size() + piece.size()};
  } else {
    pieces_.push_back(piece);
  }
}

}  // namespace cairn::remote
