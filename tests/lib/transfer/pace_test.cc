// How many requests are under way, for networks of several kinds.
#include "lib/transfer/pace.h"

#include <gtest/gtest.h>

#include <vector>

namespace cairn {
namespace {

constexpr double kBytes = 1 << 20;

/// Requests that take `latency` seconds and share `bytes_per_second`, of which each gets at most
/// `each`. Returns the number that were under way on average in the last half of `seconds`.
double run(PaceRule& rule, double latency, double bytes_per_second, double each, double seconds,
           double begin = 0) {
  struct Request {
    double waits, left;
  };
  std::vector<Request> requests;
  constexpr double kStep = 0.001;
  double sum = 0;
  int steps = 0;
  for (double now = begin; now < begin + seconds; now += kStep) {
    while (requests.size() < rule.limit()) requests.push_back({latency, kBytes});
    size_t busy = 0;
    for (const Request& request : requests) busy += request.waits <= 0 ? 1 : 0;
    const double share = std::min(each, bytes_per_second / std::max<double>(1, busy)) * kStep;
    for (Request& request : requests) {
      (request.waits > 0 ? request.waits : request.left) -= request.waits > 0 ? kStep : share;
    }
    for (size_t i = requests.size(); i-- > 0;) {
      if (requests[i].left > 0) continue;
      requests.erase(requests.begin() + static_cast<ptrdiff_t>(i));
      rule.done(static_cast<uint64_t>(kBytes), now);
    }
    if (now < begin + seconds / 2) continue;
    sum += static_cast<double>(requests.size());
    ++steps;
  }
  return sum / steps;
}

TEST(Pace, ALoopIsFullWithFew) {
  PaceRule rule(32);
  EXPECT_LT(run(rule, 0.0005, 300e6, 300e6, 10), 7);
}

TEST(Pace, ALongWayTakesMany) {
  PaceRule rule(32);
  EXPECT_GT(run(rule, 0.1, 1e9, 1e9, 10), 28);
}

TEST(Pace, ServersThatGiveEachLittleAreAskedByMany) {
  PaceRule rule(32);
  EXPECT_GT(run(rule, 0.02, 5e9, 50e6, 10), 28);
}

TEST(Pace, ChangesWithTheNetwork) {
  PaceRule rule(32);
  EXPECT_LT(run(rule, 0.0005, 300e6, 300e6, 10), 7);
  EXPECT_GT(run(rule, 0.1, 1e9, 1e9, 20, 10), 28);
}

TEST(Pace, NoMoreThanIsAllowed) {
  PaceRule rule(3), one(1);
  EXPECT_LE(run(rule, 0.1, 1e9, 1e9, 5), 3);
  EXPECT_LE(run(one, 0.1, 1e9, 1e9, 5), 1);
}

}  // namespace
}  // namespace cairn
