#include "gpu/memory_transport.h"

#include <algorithm>

#include "base/memory_guard.h"
#include "gpu/group_calls.h"

namespace cairn::gpu {

Result<std::unique_ptr<MemoryTransport>> MemoryTransport::make(const HostGroup& group,
                                                               std::chrono::milliseconds timeout) {
  CAIRN_CHECK(check_group(group));
  return std::unique_ptr<MemoryTransport>(new MemoryTransport(group, timeout));
}

MemoryTransport::~MemoryTransport() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    changed_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
}

void MemoryTransport::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_ || !jobs_.empty(); });
    if (ends_) return;
    if (status_) {
      const Job job = jobs_.front();
      lock.unlock();
      Status passed =
          guard_memory([&] { return broadcast_in(group_, timeout_, job.bytes, job.root); });
      lock.lock();
      if (!passed) status_ = std::move(passed);
    }
    jobs_.pop_front();
    changed_.notify_all();
  }
}

Status MemoryTransport::all_gather(ByteSpan own, MutableBytes all) {
  CAIRN_CHECK(check_gather(own, all));
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return jobs_.empty(); });
  if (status_) status_ = gather_in(group_, timeout_, own, all);
  return status_;
}

Status MemoryTransport::broadcast(Stream stream, DeviceSpan bytes, unsigned root) {
  CAIRN_CHECK(check_root(root));
  if (group_.size == 1 || bytes.bytes == 0) return {};
  return guard_memory([&]() -> Status {
    const std::lock_guard lock(mutex_);
    CAIRN_CHECK(status_);
    if (!worker_.joinable()) worker_ = std::thread([this] { work(); });
    jobs_.push_back({stream.handle, {bytes.data, bytes.bytes}, root});
    changed_.notify_all();
    return {};
  });
}

Status MemoryTransport::finish(Stream stream) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return std::none_of(jobs_.begin(), jobs_.end(),
                        [&](const Job& job) { return job.stream == stream.handle; });
  });
  return status_;
}

}  // namespace cairn::gpu
