// One part of an upload while it is filled.
#pragma once

#include <memory>
#include <vector>

#include "base/buffer_pool.h"
#include "base/shared_bytes.h"
#include "store/remote/backend.h"

namespace cairn::remote {

/// What has an owner is held on to, the rest is copied to a buffer of its own. Threads: one at a
/// time.
class UploadPart {
 public:
  /// REQUIRES: the buffers have room for all that the part will have.
  void append(const SharedBytes& data, BufferPool::User& buffers);

  uint64_t bytes() const { return bytes_; }
  /// Lives no longer than the part.
  Payload payload() const { return Payload(Body(pieces_), crc32_); }

 private:
  void add_piece(ByteSpan piece);

  std::shared_ptr<AlignedBuffer> room_;  // of what was copied
  uint64_t room_bytes_ = 0;
  std::vector<std::shared_ptr<const void>> owners_;
  std::vector<ByteSpan> pieces_;
  uint64_t bytes_ = 0;
  uint32_t crc32_ = 0;  // of them, taken as they came
};

}  // namespace cairn::remote
