#include "store/decode_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/bytes.h"

namespace cairn {
namespace {

constexpr uint64_t kLiveCopiesMax = 64;
constexpr uint64_t kLiveBytesAllowed = 64 * kMiB;  // small chunks never need to be parted

/// How many copies of the plan are made from each.
std::vector<uint32_t> count_users(const DecodePlan& plan) {
  std::vector<uint32_t> users(plan.copies.size());
  for (const PlannedCopy& planned : plan.copies) {
    for (const uint32_t base : planned.bases) ++users[base];
  }
  return users;
}

uint64_t live_bytes_max(const DecodePlan& plan, const std::vector<uint32_t>& order) {
  std::vector<uint32_t> users = count_users(plan);
  uint64_t live = 0, most = 0;
  for (const uint32_t number : order) {
    const PlannedCopy& planned = plan.copies[number];
    live += planned.copy.decoded_bytes;
    most = std::max(most, live);
    if (users[number] == 0) live -= planned.copy.decoded_bytes;
    for (const uint32_t base : planned.bases) {
      if (--users[base] == 0) live -= plan.copies[base].copy.decoded_bytes;
    }
  }
  return most;
}

std::vector<uint32_t> as_it_is(const DecodePlan& plan) {
  std::vector<uint32_t> order(plan.copies.size());
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

/// Every copy as late as its users allow: those with the longest way to the top first.
std::vector<uint32_t> just_in_time(const DecodePlan& plan) {
  std::vector<uint32_t> ways(plan.copies.size());
  for (size_t number = plan.copies.size(); number-- > 0;) {
    for (const uint32_t base : plan.copies[number].bases) {
      ways[base] = std::max(ways[base], ways[number] + 1);
    }
  }
  std::vector<uint32_t> order = as_it_is(plan);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return ways[a] > ways[b]; });
  return order;
}

void reorder(DecodePlan& plan, const std::vector<uint32_t>& order) {
  std::vector<uint32_t> places(order.size());
  for (uint32_t place = 0; place < order.size(); ++place) places[order[place]] = place;
  std::vector<PlannedCopy> copies;
  copies.reserve(order.size());
  for (const uint32_t number : order) {
    copies.push_back(std::move(plan.copies[number]));
    for (uint32_t& base : copies.back().bases) base = places[base];
  }
  plan.copies = std::move(copies);
  for (uint32_t& number : plan.wanted) number = places[number];
}

uint64_t live_bytes_allowed(const DecodePlan& plan) {
  uint64_t largest = 0;
  for (const uint32_t number : plan.wanted) {
    largest = std::max<uint64_t>(largest, plan.copies[number].copy.decoded_bytes);
  }
  return std::max(kLiveBytesAllowed, kLiveCopiesMax * largest);
}

}  // namespace

uint64_t live_bytes_max(const DecodePlan& plan) { return live_bytes_max(plan, as_it_is(plan)); }

void order_for_memory(DecodePlan& plan) {
  const std::vector<uint32_t> order = just_in_time(plan);
  if (live_bytes_max(plan, order) < live_bytes_max(plan)) reorder(plan, order);
}

Status plan_in_parts(Checkpoint& checkpoint, std::span<const CopyRef> wanted,
                     const std::function<Status(size_t first, const DecodePlan& plan)>& visit) {
  std::vector<std::pair<size_t, size_t>> left = {{0, wanted.size()}};  // first, count
  while (!left.empty()) {
    const auto [first, count] = left.back();
    left.pop_back();
    CAIRN_TRY(DecodePlan plan, plan_decoding(checkpoint, wanted.subspan(first, count)));
    order_for_memory(plan);
    const uint64_t live = live_bytes_max(plan);
    if (live <= live_bytes_allowed(plan)) {
      CAIRN_CHECK(visit(first, plan));
    } else if (count > 1) {
      left.emplace_back(first + count / 2, count - count / 2);
      left.emplace_back(first, count / 2);
    } else {
      const Copy& copy = plan.copies[plan.wanted.front()].copy;
      return fail(Code::kCorrupt,
                  fmt::format("a copy of {} bytes is made from so many others that {} bytes would "
                              "be in memory at once: no saver makes such chains",
                              copy.decoded_bytes, live));
    }
  }
  return {};
}

}  // namespace cairn
