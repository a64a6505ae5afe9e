// Exchanges and loads of drawn ranks, with drawn faults, for some seconds.
// usage: exchange_fuzz [--seconds N] [--seed N]   (a seed: that one case)
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/clock.h"
#include "base/random.h"
#include "gpu/bucket_plan.h"
#include "gpu/exchange.h"
#include "tests/gpu/fake_transport.h"
#include "tests/gpu/plan_properties.h"

namespace cairn::gpu {
namespace {

/// What callers may hand over, whatever it is: an error or a plan.
void plan_of_noise(std::mt19937_64& random) {
  const uint64_t units = random() % 200;
  std::vector<UnitMap> maps(random() % 5);
  for (UnitMap& map : maps) {
    map.resize(unit_map_words(units) + (random() % 16 == 0));
    for (uint64_t& word : map) word = random() | random();
    if (units % 64 != 0 && random() % 8 != 0) map[units / 64] &= (uint64_t{1} << (units % 64)) - 1;
  }
  Result<ReplicaTable> table = ReplicaTable::make(units, maps);
  if (!table) return;
  for (unsigned rank = 0; rank < table->ranks(); ++rank) {
    std::vector<Digest> digests(table->held(rank) + (random() % 16 == 0));
    for (Digest& digest : digests) digest.bytes[random() % 32] = random() % 3;
    if (!table->add(rank, digests)) return;
  }
  if (!table->settle()) return;
  std::vector<ExchangeUnit> listed(units);
  for (ExchangeUnit& unit : listed)
    unit = {random() >> random() % 64, static_cast<uint32_t>(random() % (units + units / 50))};
  const auto plan = plan_exchange(listed, *table);
  if (!plan) return;
  for (uint64_t unit = 0; unit < units; ++unit)
    EXPECT_TRUE(table->sets().contains(table->holders()[unit], plan->writers[unit])) << unit;
}

void buckets_of_noise(std::mt19937_64& random) {
  const unsigned ranks = 1 + static_cast<unsigned>(random() % 9);
  std::vector<WantedBox> boxes(random() % 50);
  for (WantedBox& box : boxes) {
    box = {random() % 64 == 0 ? random() : random() % 3000, draw_holders(random, ranks, false)};
    if (random() % 500 == 0) box.ranks.push_back(static_cast<unsigned>(random() % 20));
  }
  const bool is_large = std::any_of(boxes.begin(), boxes.end(),
                                    [](const WantedBox& box) { return box.bytes > 3000; });
  const auto plan = plan_buckets(boxes, ranks, is_large ? uint64_t{1} << 60 : random() % 4000);
  if (!plan) return;
  std::vector<uint64_t> come(boxes.size());
  for (const Bucket& bucket : plan->buckets)
    for (const BucketPart& part : bucket.parts) come[part.box] += part.bytes;
  for (size_t box = 0; box < boxes.size(); ++box)
    EXPECT_EQ(come[box], boxes[box].ranks.size() > 1 ? boxes[box].bytes : 0);
}

/// All ranks have one plan, or all have an error.
void exchange_of(uint64_t seed, std::mt19937_64& random) {
  Drawing drawing;
  drawing.is_nested = random() % 2 == 0;
  drawing.twins = static_cast<double>(random() % 100) / 100;
  drawing.differing = random() % 2 == 0 ? 0 : 0.3;
  const DrawnState state = draw_state(random(), drawing);
  FakeFaults faults{seed, static_cast<unsigned>(random() % 300)};
  if (random() % 4 == 0 && state.ranks > 1) {
    faults.dying = static_cast<int>(random() % state.ranks);
    faults.dies_at = random() % 5;
    faults.timeout = std::chrono::milliseconds(50);
  }
  const unsigned failing = static_cast<unsigned>(random() % (state.ranks * 8));
  FakeGroup group(state.ranks, faults);
  std::vector<ExchangePlan> plans(state.ranks);
  const auto ended = over_fake(group, [&](Transport& transport) -> Status {
    const unsigned rank = transport.rank();
    Result<HeldState> mine = HeldState{state.units, {}, state.maps[rank], state.digests[rank]};
    if (rank == failing) mine = fail(Code::kFailed, "a fault that was planted");
    CAIRN_TRY(plans[rank], agree_on_writers(transport, mine));
    return {};
  });
  const bool all_are_well = faults.dying < 0 && failing >= state.ranks;
  for (unsigned rank = 0; rank < state.ranks; ++rank) {
    if (!all_are_well) continue;
    ASSERT_TRUE(ended[rank]) << ended[rank].error().message;
    EXPECT_EQ(plans[rank], plans[0]);
  }
  if (all_are_well) return expect_properties(state, plans[0]);
  // Who is left when one dies at the end has a plan; all of them, the same.
  for (unsigned rank = 0; rank < state.ranks; ++rank)
    EXPECT_TRUE(!ended[rank] || failing >= state.ranks) << rank;
}

void run_case(uint64_t seed) {
  std::mt19937_64 random(seed);
  const uint64_t what = random() % 16;
  if (what == 0) return exchange_of(seed, random);
  what % 2 == 0 ? plan_of_noise(random) : buckets_of_noise(random);
}

}  // namespace
}  // namespace cairn::gpu

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  double seconds = 20;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seconds") == 0) seconds = std::atof(argv[i + 1]);
    if (std::strcmp(argv[i], "--seed") == 0) {
      cairn::gpu::run_case(std::strtoull(argv[i + 1], nullptr, 10));
      return testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed() ? 1 : 0;
    }
  }
  const cairn::Stopwatch watch;
  auto seeds = cairn::seeded_random();
  uint64_t cases = 0;
  for (; watch.seconds() < seconds; ++cases) {
    const uint64_t seed = seeds();
    cairn::gpu::run_case(seed);
    if (testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed()) {
      std::printf("case %llu failed: --seed %llu\n", static_cast<unsigned long long>(cases),
                  static_cast<unsigned long long>(seed));
      return 1;
    }
  }
  std::printf("%llu cases\n", static_cast<unsigned long long>(cases));
  return 0;
}
