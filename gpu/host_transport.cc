#include "gpu/host_transport.h"

#include <algorithm>

#include "base/memory_guard.h"
#include "gpu/group_calls.h"

namespace cairn::gpu {

HostTransport::HostTransport(const HostGroup& group, const HostOptions& options)
    : group_(group), options_(options) {}

Result<std::unique_ptr<HostTransport>> HostTransport::make(const HostGroup& group,
                                                           const HostOptions& options) {
  CAIRN_CHECK(check_group(group));
  if (options.buffer_bytes == 0) return fail(Code::kUsage, "buffers of no bytes");
  return guard_memory([&]() -> Result<std::unique_ptr<HostTransport>> {
    std::unique_ptr<HostTransport> made(new HostTransport(group, options));
    for (Buffer& buffer : made->buffers_) buffer.host.resize(options.buffer_bytes);
    made->worker_ = std::thread([transport = made.get()] { transport->work(); });
    return made;
  });
}

HostTransport::~HostTransport() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    changed_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
}

/// Takes the buffers in turns, as they are filled.
void HostTransport::work() {
  for (size_t next = 0;; ++next) {
    Buffer& buffer = buffers_[next % buffers_.size()];
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_ || buffer.stage == Stage::kQueued; });
    if (ends_) return;
    if (status_) {
      lock.unlock();
      Status passed = pass(buffer);
      lock.lock();
      if (!passed) status_ = std::move(passed);
    }
    buffer.stage = Stage::kDone;
    changed_.notify_all();
  }
}

Status HostTransport::pass(Buffer& buffer) {
  return guard_memory([&] {
    return broadcast_in(group_, options_.timeout,
                        MutableBytes(buffer.host).first(buffer.device.bytes), buffer.root);
  });
}

Status HostTransport::broken() {
  const std::lock_guard lock(mutex_);
  return status_;
}

/// Waits until the buffer has travelled, and leaves it free.
Status HostTransport::collect(Buffer& buffer) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return buffer.stage != Stage::kQueued; });
    if (std::exchange(buffer.stage, Stage::kFree) == Stage::kFree) return {};
    if (!status_) return status_;
  }
  if (buffer.root == group_.rank) return {};
  return copy_up(buffer.stream, buffer.device.data,
                 ByteSpan(buffer.host).first(buffer.device.bytes));
}

Status HostTransport::all_gather(ByteSpan own, MutableBytes all) {
  CAIRN_CHECK(check_gather(own, all));
  for (size_t i = 0; i < buffers_.size(); ++i)
    CAIRN_CHECK(collect(buffers_[(next_ + i) % buffers_.size()]));
  CAIRN_CHECK(broken());
  Status status = gather_in(group_, options_.timeout, own, all);
  const std::lock_guard lock(mutex_);
  if (!status) status_ = status;
  return status;
}

Status HostTransport::broadcast(Stream stream, DeviceSpan bytes, unsigned root) {
  CAIRN_CHECK(check_root(root));
  CAIRN_CHECK(broken());
  if (group_.size == 1) return {};
  for (uint64_t at = 0; at < bytes.bytes; at += options_.buffer_bytes) {
    Buffer& buffer = buffers_[next_ % buffers_.size()];
    CAIRN_CHECK(collect(buffer));
    buffer.stream = stream;
    buffer.root = root;
    buffer.device = {bytes.data + at, std::min(options_.buffer_bytes, bytes.bytes - at)};
    if (root == group_.rank) {
      CAIRN_CHECK(copy_down(stream, MutableBytes(buffer.host).first(buffer.device.bytes),
                            buffer.device.data));
      CAIRN_CHECK(synchronize(stream));
    }
    ++next_;
    const std::lock_guard lock(mutex_);
    buffer.stage = Stage::kQueued;
    changed_.notify_all();
  }
  return {};
}

Status HostTransport::finish(Stream stream) {
  for (size_t i = 0; i < buffers_.size(); ++i)
    CAIRN_CHECK(collect(buffers_[(next_ + i) % buffers_.size()]));
  CAIRN_CHECK(broken());
  return synchronize(stream);
}

}  // namespace cairn::gpu
