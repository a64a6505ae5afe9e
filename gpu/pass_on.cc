#include "gpu/pass_on.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/memory_guard.h"

namespace cairn::gpu {

/// A bucket's memory, its status behind it.
static uint64_t slot_bytes(const BucketPlan& plan) {
  uint64_t most = 0;
  for (const Bucket& bucket : plan.buckets) most = std::max(most, bucket.bytes);
  return round_up(most, BucketPlan::kAlignment) + kToldStatusBytes;
}

uint64_t pass_on_bytes(const BucketPlan& plan, size_t under_way) {
  return slot_bytes(plan) * under_way;
}

namespace {

class Passing {
 public:
  Passing(Transport& transport, const BucketPlan& plan, const PassOn& how)
      : transport_(transport), plan_(plan), how_(how), slot_bytes_(slot_bytes(plan)) {}

  /// Errors: of the transport alone; what else went wrong is own() and heard().
  Status run() {
    const size_t window = how_.streams.size(), count = plan_.buckets.size();
    for (size_t i = 0; i < count + window; ++i) {
      if (i >= window && i - window < sent_) CAIRN_CHECK(arrive(i - window));
      if (i < count && heard_) CAIRN_CHECK(send(i));
    }
    return {};
  }
  const Status& own() const { return own_; }
  /// What a reader has told in place of a bucket.
  const Status& heard() const { return heard_; }

 private:
  Stream stream(size_t i) const { return how_.streams[i % how_.streams.size()]; }
  DeviceSpan memory(size_t i) const {
    return {how_.memory.data + i % how_.streams.size() * slot_bytes_, plan_.buckets[i].bytes};
  }
  /// Where the status of the bucket is.
  uint64_t status_at(size_t i) const {
    return round_up(plan_.buckets[i].bytes, BucketPlan::kAlignment);
  }

  Status send(size_t i) {
    const Bucket& bucket = plan_.buckets[i];
    const DeviceSpan room = memory(i);
    if (bucket.reader == transport_.rank()) {
      use(how_.fill, i);
      std::array<uint8_t, kToldStatusBytes> told;
      tell_status(own_, told);
      CAIRN_CHECK(how_.copies.up(stream(i), room.data + status_at(i), told));
    }
    ++sent_;
    return transport_.broadcast(stream(i), {room.data, status_at(i) + kToldStatusBytes},
                                bucket.reader);
  }

  Status arrive(size_t i) {
    CAIRN_CHECK(transport_.finish(stream(i)));
    const Bucket& bucket = plan_.buckets[i];
    std::array<uint8_t, kToldStatusBytes> told;
    CAIRN_CHECK(how_.copies.down(stream(i), told, memory(i).data + status_at(i)));
    CAIRN_CHECK(how_.copies.wait(stream(i)));
    if (Status status = told_status(told); !status && heard_)
      heard_ = tl::unexpected(error_of(bucket.reader, std::move(status).error()));
    if (heard_ && std::binary_search(bucket.ranks.begin(), bucket.ranks.end(), transport_.rank()))
      use(how_.take, i);
    return {};
  }

  void use(const UseBucket& call, size_t i) {
    if (own_) own_ = guard_memory([&] { return call(plan_.buckets[i], stream(i), memory(i)); });
  }

  Transport& transport_;
  const BucketPlan& plan_;
  const PassOn& how_;
  uint64_t slot_bytes_;
  size_t sent_ = 0;
  Status own_, heard_;
};

}  // namespace

Copies host_copies() {
  return {[](Stream, void* to, ByteSpan from) -> Status {
            std::memcpy(to, from.data(), from.size());
            return {};
          },
          [](Stream, MutableBytes to, const void* from) -> Status {
            std::memcpy(to.data(), from, to.size());
            return {};
          },
          [](Stream) -> Status { return {}; }};
}

static Status check(const BucketPlan& plan, const PassOn& how) {
  if (how.streams.empty()) return fail(Code::kUsage, "no stream to pass buckets on");
  const uint64_t bytes = pass_on_bytes(plan, how.streams.size());
  if (how.memory.bytes < bytes)
    return fail(Code::kUsage, fmt::format("buckets under way: they take {} bytes, {} were given",
                                          bytes, how.memory.bytes));
  if (reinterpret_cast<uintptr_t>(how.memory.data) % BucketPlan::kAlignment == 0) return {};
  return fail(Code::kUsage, "the memory of buckets is at no multiple of 16");
}

Status pass_on(Transport& transport, const BucketPlan& plan, const PassOn& how) {
  Blake3 digest;  // with as many under way all stop at the same bucket
  digest.update(digest_of(plan).bytes);
  const uint64_t window = how.streams.size();
  digest.update(as_bytes(&window, sizeof window));
  CAIRN_CHECK(agree(transport, "plan of buckets", check(plan, how), digest.finish()));
  Passing passing(transport, plan, how);
  CAIRN_CHECK(passing.run());
  const Status ended = agree(transport, "end", passing.own(), {});
  return passing.own() && !passing.heard() ? passing.heard() : ended;
}

}  // namespace cairn::gpu
