#include "lib/rank_transport.h"

#include <fmt/format.h>

#include "gpu/memory_transport.h"
#include "gpu/rank_talk.h"
#include "lib/staged_calls.h"

namespace cairn {

Result<std::unique_ptr<gpu::Transport>> open_transport(const RankGroup& group, Staging* staging) {
  if (group.nccl == nullptr) {
    CAIRN_TRY(auto transport, gpu::MemoryTransport::make(group.host, group.timeout));
    return transport;
  }
  if (staging != nullptr) return staging->join(group);
  return fail(
      Code::kUsage, "ranks are to meet over NCCL, and there is no staging",
      "make one with cairn_staging_new() (C++: open_staging()), or lend functions of the job's "
      "CPU group");
}

static Result<std::unique_ptr<NewCommunicator>> begin_communicator(const RankGroup& group,
                                                                   Staging* staging) {
  if (staging != nullptr) return staging->new_communicator(group);
  return fail(Code::kUsage, "nothing that it loads is on a device (there is no staging)");
}

/// All ranks have it, or all have an error. Where it is the host group that fails, it fails in
/// whatever comes next too.
static Result<std::unique_ptr<gpu::Transport>> make_communicator(gpu::Transport& host,
                                                                 const RankGroup& group,
                                                                 Staging* staging) {
  const auto begun = begin_communicator(group, staging);
  static const Digest kOwn = blake3(as_bytes(std::string_view("a communicator of the load's own")));
  CAIRN_CHECK(gpu::agree(host, "way to pass on", gpu::status_of(begun), kOwn));
  NewCommunicator& made = **begun;
  Bytes offers(made.offer().size() * host.size());
  CAIRN_CHECK(host.all_gather(made.offer(), offers));
  CAIRN_CHECK(gpu::agree(host, "communicator", made.make(offers, host), kOwn));
  return made.take();
}

static std::string by_host(const char* cause, const Error& why) {
  return fmt::format("what several ranks want was passed on from host to host, for {}: {}", cause,
                     why.message);
}

std::string RankWay::leave_devices(const Error& why) {
  devices.reset();
  return by_host("there was no room for it on their devices", why);
}

Result<RankWay> open_way(const RankGroup& group, Staging* staging) {
  RankWay way;
  if (group.nccl != nullptr) {
    if (group.makes_nccl)
      return fail(Code::kUsage, "ranks are to make a communicator, and are lent one");
    CAIRN_TRY(way.devices, open_transport(group, staging));
    return way;
  }
  CAIRN_TRY(way.host, open_transport(group, staging));
  if (!group.makes_nccl) return way;
  auto made = make_communicator(*way.host, group, staging);
  if (made) {
    way.devices = std::move(*made);
  } else {
    way.notes.push_back(by_host("they made no communicator", made.error()));
  }
  return way;
}

}  // namespace cairn
