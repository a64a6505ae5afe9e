#include "store/remote/part_buffers.h"

#include <utility>

namespace cairn::remote {

PartBuffers::User::User(PartBuffers& buffers) : buffers_(buffers) {
  const std::lock_guard lock(buffers_.mutex_);
  ++buffers_.users_;
}

PartBuffers::User::~User() {
  const std::lock_guard lock(buffers_.mutex_);
  if (--buffers_.users_ == 0) buffers_.spare_ = {};
}

Bytes PartBuffers::User::take(size_t bytes) {
  Bytes buffer;
  {
    const std::lock_guard lock(buffers_.mutex_);
    if (!buffers_.spare_.empty()) {
      buffer = std::move(buffers_.spare_.back());
      buffers_.spare_.pop_back();
    }
  }
  buffer.clear();
  buffer.reserve(bytes);
  return buffer;
}

void PartBuffers::User::give_back(Bytes buffer) {
  const std::lock_guard lock(buffers_.mutex_);
  buffers_.spare_.push_back(std::move(buffer));
}

}  // namespace cairn::remote
