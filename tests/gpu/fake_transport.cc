#include "tests/gpu/fake_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "gpu/rank_sets.h"

namespace cairn::gpu {

FakeGroup::FakeGroup(unsigned size, const FakeFaults& faults)
    : faults_(faults), calls_made_(size), gone_(size) {
  for (unsigned rank = 0; rank < size; ++rank) random_.emplace_back(faults.seed * 1000 + rank);
}

Result<uint64_t> FakeGroup::bring(unsigned rank, const std::string& kind, ByteSpan bytes) {
  std::unique_lock lock(mutex_);
  if (faults_.delay_us != 0) {  // nothing notifies this long
    const std::chrono::microseconds delay(random_[rank]() % faults_.delay_us);
    const auto end = std::chrono::steady_clock::now() + delay;
    while (changed_.wait_until(lock, end) != std::cv_status::timeout) {
    }
  }
  const uint64_t number = calls_made_[rank];
  if (static_cast<int>(rank) == faults_.dying && number >= faults_.dies_at) {
    gone_[rank] = true;
    changed_.notify_all();
    return fail(Code::kCancelled, "died");
  }
  ++calls_made_[rank];
  Call& call = calls_[number];
  if (call.brought.empty()) call.kind = kind;
  EXPECT_EQ(call.kind, kind) << "rank " << rank << " at call " << number;
  call.brought[rank] = Bytes(bytes.begin(), bytes.end());
  changed_.notify_all();
  return number;
}

void FakeGroup::leave(unsigned rank) {
  const std::lock_guard lock(mutex_);
  gone_[rank] = true;
  changed_.notify_all();
}

std::vector<Bytes> FakeGroup::fetch(uint64_t call, const std::vector<unsigned>& wanted,
                                    std::vector<unsigned>& missing) {
  std::unique_lock lock(mutex_);
  const std::map<unsigned, Bytes>& brought = calls_[call].brought;
  const auto is_missing = [&](unsigned rank) { return brought.count(rank) == 0; };
  changed_.wait_for(lock, std::chrono::seconds(60), [&] {
    return std::none_of(wanted.begin(), wanted.end(),
                        [&](unsigned rank) { return is_missing(rank) && !gone_[rank]; });
  });
  changed_.wait_for(lock, faults_.timeout,
                    [&] { return std::none_of(wanted.begin(), wanted.end(), is_missing); });
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(missing), is_missing);
  std::vector<Bytes> got;
  if (missing.empty())
    for (const unsigned rank : wanted) got.push_back(brought.at(rank));
  return got;
}

static std::vector<unsigned> all_of(const FakeGroup& group) {
  std::vector<unsigned> ranks(group.size());
  for (unsigned rank = 0; rank < ranks.size(); ++rank) ranks[rank] = rank;
  return ranks;
}

Status FakeTransport::missed(const std::vector<unsigned>& missing) const {
  if (missing.empty()) return {};
  return fail(Code::kUnreachable, named_ranks(missing) + " did not come");
}

Status FakeTransport::all_gather(ByteSpan own, MutableBytes all) {
  CAIRN_TRY(const uint64_t call,
            group_.bring(rank_, fmt::format("all_gather of {}", own.size()), own));
  std::vector<unsigned> missing;
  const std::vector<Bytes> got = group_.fetch(call, all_of(group_), missing);
  CAIRN_CHECK(missed(missing));
  for (size_t rank = 0; rank < got.size(); ++rank)
    std::copy(got[rank].begin(), got[rank].end(),
              all.begin() + static_cast<ptrdiff_t>(rank * own.size()));
  return {};
}

Status FakeTransport::broadcast(Stream stream, DeviceSpan bytes, unsigned root) {
  CAIRN_CHECK(synchronize(stream));  // what is in the stream before comes before
  const bool is_root = root == rank_;
  const ByteSpan content = is_root ? as_bytes(bytes.data, bytes.bytes) : ByteSpan();
  CAIRN_TRY(const uint64_t call,
            group_.bring(rank_, fmt::format("broadcast of {} by {}", bytes.bytes, root), content));
  if (!is_root) std::memset(bytes.data, 0xEE, bytes.bytes);
  coming_.push_back({call, stream, bytes, root});
  return {};
}

Status FakeTransport::finish(Stream stream) {
  std::vector<Coming> others;
  for (const Coming& each : coming_) {
    if (each.stream.handle != stream.handle) {
      others.push_back(each);
      continue;
    }
    std::vector<unsigned> missing;
    const std::vector<Bytes> got = group_.fetch(each.call, {each.root}, missing);
    CAIRN_CHECK(missed(missing));
    if (each.root != rank_) std::copy(got[0].begin(), got[0].end(), each.bytes.data);
  }
  coming_ = others;
  return {};
}

HostGroup FakeHostGroup::lent() { return {rank_, group_.size(), this, all_gather, broadcast}; }

HostAnswer FakeHostGroup::answer(const std::vector<unsigned>& missing, HostWait* wait) const {
  for (const unsigned rank : missing) wait->missing[rank] = 1;
  return missing.empty() ? HostAnswer::kDone : HostAnswer::kTimedOut;
}

static HostAnswer told(const Error& error, HostWait* wait) {
  std::snprintf(wait->message, sizeof wait->message, "%s", error.message.c_str());
  return HostAnswer::kFailed;
}

HostAnswer FakeHostGroup::all_gather(void* context, const uint8_t* own, uint64_t bytes,
                                     uint8_t* all, HostWait* wait) {
  const auto* self = static_cast<const FakeHostGroup*>(context);
  const auto call =
      self->group_.bring(self->rank_, fmt::format("all_gather of {}", bytes), {own, bytes});
  if (!call) return told(call.error(), wait);
  std::vector<unsigned> missing;
  for (const Bytes& each : self->group_.fetch(*call, all_of(self->group_), missing))
    all = std::copy(each.begin(), each.end(), all);
  return self->answer(missing, wait);
}

HostAnswer FakeHostGroup::broadcast(void* context, uint8_t* data, uint64_t bytes, unsigned root,
                                    HostWait* wait) {
  const auto* self = static_cast<const FakeHostGroup*>(context);
  const ByteSpan content = root == self->rank_ ? ByteSpan(data, bytes) : ByteSpan();
  const auto call =
      self->group_.bring(self->rank_, fmt::format("broadcast of {} by {}", bytes, root), content);
  if (!call) return told(call.error(), wait);
  std::vector<unsigned> missing;
  const std::vector<Bytes> got = self->group_.fetch(*call, {root}, missing);
  if (missing.empty()) std::copy(got[0].begin(), got[0].end(), data);
  return self->answer(missing, wait);
}

std::vector<Status> on_ranks(unsigned ranks, const std::function<Status(unsigned rank)>& work) {
  std::vector<Status> ended(ranks);
  std::vector<std::thread> threads;
  for (unsigned rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] { ended[rank] = work(rank); });
  for (std::thread& thread : threads) thread.join();
  return ended;
}

std::vector<Status> over_fake(FakeGroup& group, const std::function<Status(Transport&)>& work) {
  return on_ranks(group.size(), [&](unsigned rank) {
    FakeTransport transport(group, rank);
    Status ended = work(transport);
    group.leave(rank);
    return ended;
  });
}

std::vector<Status> over_memory(FakeGroup& group, const std::function<Status(Transport&)>& work) {
  return on_ranks(group.size(), [&](unsigned rank) -> Status {
    FakeHostGroup host(group, rank);
    CAIRN_TRY(const auto transport, MemoryTransport::make(host.lent(), group.faults().timeout));
    Status ended = work(*transport);
    group.leave(rank);
    return ended;
  });
}

}  // namespace cairn::gpu
