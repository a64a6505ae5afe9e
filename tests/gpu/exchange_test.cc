#include "gpu/exchange.h"

#include "tests/gpu/fake_transport.h"
#include "tests/gpu/kernel_fixture.h"
#include "tests/gpu/plan_properties.h"

namespace cairn::gpu {
namespace {

using namespace std::chrono_literals;

/// The ranks' plans; of `state`, as far as `change` leaves it.
struct Ended {
  std::vector<Status> statuses;
  std::vector<ExchangePlan> plans;
};
using Change = std::function<void(unsigned rank, Result<HeldState>& state)>;

std::function<Status(Transport&)> work_on(const DrawnState& state, Ended& ended,
                                          const Change& change) {
  ended.plans.resize(state.ranks);
  return [&state, &ended, change](Transport& transport) -> Status {
    const unsigned rank = transport.rank();
    Result<HeldState> mine = HeldState{state.units, {}, state.maps[rank], state.digests[rank]};
    if (change) change(rank, mine);
    CAIRN_TRY(ended.plans[rank], agree_on_writers(transport, mine));
    return {};
  };
}

Ended exchange_on(FakeGroup& group, const DrawnState& state, const Change& change = {}) {
  Ended ended;
  ended.statuses = over_fake(group, work_on(state, ended, change));
  return ended;
}

DrawnState drawn(uint64_t seed, unsigned ranks) {
  for (;; seed += 1000)
    if (DrawnState state = draw_state(seed, {ranks, 300}); state.ranks == ranks) return state;
}

TEST(Exchange, AllHaveTheSamePlan) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const DrawnState state = draw_state(seed, {});
    FakeGroup group(state.ranks, {seed, 200});
    const Ended ended = exchange_on(group, state);
    for (const Status& status : ended.statuses) must(status);
    for (const ExchangePlan& plan : ended.plans) ASSERT_EQ(plan, ended.plans[0]);
    expect_properties(state, ended.plans[0]);
  }
}

TEST(Exchange, GoesOverTheHostsGroupToo) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const DrawnState state = draw_state(seed, {});
    FakeGroup group(state.ranks, {seed, 100});
    Ended ended;
    ended.statuses = over_memory(group, work_on(state, ended, {}));
    for (const Status& status : ended.statuses) must(status);
    expect_properties(state, ended.plans.back());
  }
}

TEST(Exchange, TakesMoreThanOneRound) {
  const uint64_t units = 3 * kRoundBytes / 2 / sizeof(Digest);  // of two ranks
  DrawnState state{2, std::vector<ExchangeUnit>(units, {8, 0}), {}, {}, {}};
  for (uint32_t unit = 0; unit < units; ++unit) state.units[unit].cluster = unit;
  UnitMap all(unit_map_words(units), ~uint64_t{0});
  state.maps = {all, all};
  state.maps[1][5] = 0xFF00;  // so that they are not at one unit at one time
  for (const UnitMap& map : state.maps) {
    auto& digests = state.digests.emplace_back();
    for (uint64_t unit = 0; unit < units; ++unit)
      if ((map[unit / 64] >> (unit % 64) & 1) != 0) digests.push_back(numbered_digest(unit));
  }
  FakeGroup group(2);
  const Ended ended = exchange_on(group, state);
  for (const Status& status : ended.statuses) must(status);
  EXPECT_EQ(ended.plans[0], ended.plans[1]);
  EXPECT_EQ(ended.plans[0].bytes, std::vector<uint64_t>(2, units * 4));
  EXPECT_TRUE(ended.plans[0].disagreements.empty());
  EXPECT_EQ(group.calls(0), 1 + 1 + 3 + 1u);
}

TEST(Exchange, WhoeverDiesIsNamed) {
  const DrawnState state = drawn(7, 4);
  for (uint64_t at = 0; at < 4; ++at) {
    SCOPED_TRACE(at);
    FakeGroup group(4, {at + 1, 100, 100ms, 2, at});
    const Ended ended = exchange_on(group, state);
    EXPECT_EQ(ended.statuses[2].error().code, Code::kCancelled);
    for (const unsigned rank : {0, 1, 3}) {
      EXPECT_EQ(ended.statuses[rank].error().code, Code::kUnreachable);
      EXPECT_EQ(ended.statuses[rank].error().message, "rank 2 did not come");
    }
  }
}

TEST(Exchange, ARankThatHasFailedIsNotWaitedFor) {
  const DrawnState state = drawn(8, 3);
  FakeGroup group(3);
  const Ended ended = exchange_on(group, state, [](unsigned rank, Result<HeldState>& mine) {
    if (rank == 1) mine = fail(Code::kFailed, "the device has fallen off the bus");
  });
  EXPECT_EQ(ended.statuses[0].error().message, "rank 1: the device has fallen off the bus");
  EXPECT_EQ(ended.statuses[1].error().message, "the device has fallen off the bus");
  EXPECT_EQ(ended.statuses[2].error().message, "rank 1: the device has fallen off the bus");
}

TEST(Exchange, WhatIsMalformedEndsItForAll) {
  const DrawnState state = drawn(9, 3);
  const std::vector<Change> changes = {
      [](unsigned, Result<HeldState>& mine) { mine->digests = mine->digests.subspan(1); },
      [](unsigned, Result<HeldState>& mine) { mine->held.push_back(1); },
      [](unsigned, Result<HeldState>& mine) { mine->held.clear(); },
  };
  for (const Change& change : changes) {
    FakeGroup group(3);
    const Ended ended = exchange_on(group, state, [&](unsigned rank, Result<HeldState>& mine) {
      if (rank == 2) change(rank, mine);
    });
    for (const Status& status : ended.statuses) EXPECT_EQ(status.error().code, Code::kUsage);
    EXPECT_EQ(ended.statuses[0].error().message.substr(0, 8), "rank 2: ");
    EXPECT_EQ(group.calls(0), 1u);
  }
}

TEST(Exchange, RanksWithOtherListsAreNamed) {
  const DrawnState state = drawn(10, 4);
  std::vector<ExchangeUnit> other = state.units;
  other[3].bytes += 1;
  const std::vector<Change> changes = {
      [&](unsigned, Result<HeldState>& mine) { mine->units = other; },
      [&](unsigned, Result<HeldState>& mine) { mine->names.bytes[0] = 1; },
  };
  for (const Change& change : changes) {
    FakeGroup group(4);
    const Ended ended = exchange_on(group, state, [&](unsigned rank, Result<HeldState>& mine) {
      if (rank == 3) change(rank, mine);
    });
    for (const Status& status : ended.statuses)
      EXPECT_EQ(status.error().message,
                "the list of units of rank 3 differs from that of ranks 0, 1 and 2");
  }
}

TEST(Exchange, AUnitThatNobodyHoldsEndsItForAll) {
  DrawnState state{2, {{1, 0}, {1, 1}}, {{1}, {1}}, {}, {}};
  state.digests.assign(2, {Digest()});
  FakeGroup group(2);
  for (const Status& status : exchange_on(group, state).statuses)
    EXPECT_EQ(status.error().message, "no rank holds unit 1");
}

}  // namespace
}  // namespace cairn::gpu
