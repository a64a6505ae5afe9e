#include "gpu/group_calls.h"

#include <cstring>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "gpu/rank_sets.h"

namespace cairn::gpu {

Status check_group(const HostGroup& group) {
  if (group.all_gather == nullptr || group.broadcast == nullptr)
    return fail(Code::kUsage, "the job's CPU group lacks a function");
  if (group.rank < group.size) return {};
  return fail(Code::kUsage, fmt::format("rank {} of {}", group.rank, group.size));
}

static Status answered(const HostGroup& group, HostAnswer answer, const HostWait& wait) {
  const std::string_view said(wait.message, strnlen(wait.message, sizeof wait.message));
  switch (answer) {
    case HostAnswer::kDone:
      return {};
    case HostAnswer::kTimedOut:
      break;
    case HostAnswer::kFailed:
    default:
      return fail(Code::kFailed,
                  fmt::format("the job's CPU group: {}", said.empty() ? "failed" : said));
  }
  std::vector<unsigned> ranks;
  for (unsigned rank = 0; rank < group.size; ++rank)
    if (wait.missing[rank] != 0) ranks.push_back(rank);
  const std::string who =
      ranks.empty() ? "some rank (the group does not say which)" : named_ranks(ranks);
  return fail(Code::kUnreachable,
              fmt::format("{} did not answer rank {} within {} s", who, group.rank,
                          static_cast<double>(wait.timeout_ms) / 1000),
              "see whether it still runs; a longer time-out waits longer");
}

static HostWait wait_for(std::chrono::milliseconds timeout, Bytes& missing) {
  return {static_cast<uint64_t>(timeout.count()), missing.data(), {}};
}

Status gather_in(const HostGroup& group, std::chrono::milliseconds timeout, ByteSpan own,
                 MutableBytes all) {
  Bytes missing(group.size);
  HostWait wait = wait_for(timeout, missing);
  const HostAnswer answer =
      group.all_gather(group.context, own.data(), own.size(), all.data(), &wait);
  return answered(group, answer, wait);
}

Status broadcast_in(const HostGroup& group, std::chrono::milliseconds timeout, MutableBytes data,
                    unsigned root) {
  Bytes missing(group.size);
  HostWait wait = wait_for(timeout, missing);
  const HostAnswer answer = group.broadcast(group.context, data.data(), data.size(), root, &wait);
  return answered(group, answer, wait);
}

Status look_in(const HostGroup& group) {
  if (group.look == nullptr) return {};
  Bytes missing(group.size);
  HostWait wait = wait_for(std::chrono::milliseconds(0), missing);
  const HostAnswer answer = group.look(group.context, &wait);
  return answered(group, answer, wait);
}

}  // namespace cairn::gpu
