#include "store/remote/part_buffers.h"

#include <utility>

namespace cairn::remote {

PartBuffers::User::User(PartBuffers& buffers) : buffers_(buffers) {
  const std::lock_guard lock(buffers_.mutex_);
  ++buffers_.users_;
}

PartBuffers::User::~User() {
  const std::lock_guard lock(buffers_.mutex_);
  if (--buffers_.users_ == 0) buffers_.spare_.clear();
}

AlignedBuffer PartBuffers::User::take() {
  {
    const std::lock_guard lock(buffers_.mutex_);
    if (!buffers_.spare_.empty()) {
      AlignedBuffer spare = std::move(buffers_.spare_.back());
      buffers_.spare_.pop_back();
      return spare;
    }
  }
  return AlignedBuffer(buffers_.bytes_);
}

void PartBuffers::User::give_back(AlignedBuffer buffer) {
  if (buffer.size() == 0) return;  // of a file without bytes
  const std::lock_guard lock(buffers_.mutex_);
  buffers_.spare_.push_back(std::move(buffer));
}

}  // namespace cairn::remote
