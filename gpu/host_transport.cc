#include "gpu/host_transport.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/memory_guard.h"
#include "gpu/rank_sets.h"

namespace cairn::gpu {

HostTransport::HostTransport(const HostGroup& group, const HostOptions& options)
    : group_(group), options_(options) {}

Result<std::unique_ptr<HostTransport>> HostTransport::make(const HostGroup& group,
                                                           const HostOptions& options) {
  if (group.all_gather == nullptr || group.broadcast == nullptr)
    return fail(Code::kUsage, "the job's CPU group lacks a function");
  if (group.rank >= group.size)
    return fail(Code::kUsage, fmt::format("rank {} of {}", group.rank, group.size));
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

Status HostTransport::answered(HostAnswer answer, const HostWait& wait,
                               std::span<const uint8_t> missing) const {
  const std::string_view said(wait.message, strnlen(wait.message, sizeof wait.message));
  switch (answer) {
    case HostAnswer::kDone:
      return {};
    case HostAnswer::kFailed:
      return fail(Code::kFailed,
                  fmt::format("the job's CPU group: {}", said.empty() ? "failed" : said));
    case HostAnswer::kTimedOut:
      break;
  }
  std::vector<unsigned> ranks;
  for (unsigned rank = 0; rank < missing.size(); ++rank)
    if (missing[rank] != 0) ranks.push_back(rank);
  const std::string who =
      ranks.empty() ? "some rank (the group does not say which)" : named_ranks(ranks);
  return fail(Code::kUnreachable,
              fmt::format("{} did not answer rank {} within {} s", who, group_.rank,
                          static_cast<double>(options_.timeout.count()) / 1000),
              "see whether it still runs; a longer time-out waits longer");
}

Status HostTransport::pass(Buffer& buffer) {
  return guard_memory([&]() -> Status {
    Bytes missing(group_.size);
    HostWait wait{static_cast<uint64_t>(options_.timeout.count()), missing.data(), {}};
    return answered(group_.broadcast(group_.context, buffer.host.data(), buffer.device.bytes,
                                     buffer.root, &wait),
                    wait, missing);
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
  if (own.size() * group_.size != all.size())
    return fail(Code::kUsage, fmt::format("{} bytes of each of {} ranks for {} bytes of all",
                                          own.size(), group_.size, all.size()));
  for (size_t i = 0; i < buffers_.size(); ++i)
    CAIRN_CHECK(collect(buffers_[(next_ + i) % buffers_.size()]));
  CAIRN_CHECK(broken());
  Bytes missing(group_.size);
  HostWait wait{static_cast<uint64_t>(options_.timeout.count()), missing.data(), {}};
  Status status = answered(
      group_.all_gather(group_.context, own.data(), own.size(), all.data(), &wait), wait, missing);
  const std::lock_guard lock(mutex_);
  if (!status) status_ = status;
  return status;
}

Status HostTransport::broadcast(Stream stream, DeviceSpan bytes, unsigned root) {
  if (root >= group_.size)
    return fail(Code::kUsage, fmt::format("rank {} of {} has nothing", root, group_.size));
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
