// A push to an object store. Before it writes, it may go on from what other pushes of the
// checkpoint left: it takes their leases away, since it takes them for dead, perhaps wrongly, and
// will refer to their packs where they lie. Journals stay unless a push removes them: a collector
// that does so lets less happen.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

using namespace save;

bool pushes(const World& world, int number) { return world.scenario.plans[number].pushes; }

/// Of some of the sessions that have journals, none of them, or all.
void go_on(World& world, const State& state, int number) {
  world.add({"goes on from nothing", number}, state).savers[number].step = kWrite;
  const auto others = static_cast<Set>(state.journals & ~bit(number));
  for (Set taken = others; taken != 0; taken = static_cast<Set>((taken - 1) & others)) {
    Set packs = 0;
    State after = state;
    for (int session = 0; session < kSessions; ++session) {
      if ((taken & bit(session)) == 0) continue;
      packs |= own_pack(session);
      after.leases[session] = 0;
    }
    after.lease_files &= static_cast<Set>(~taken);
    after.savers[number].soft = packs;
    after.savers[number].step = kList;
    world.add({"takes over sessions, whose leases go", number, packs}, after);
  }
}

void list_packs(World& world, const State& state, int number) {
  State& after = world.add({"lists what they left", number}, state);
  after.savers[number].soft &= state.files;
  after.savers[number].step = kWrite;
}

void drop_packs(const World& world, State& state, int number) {
  if (!world.has(Guard::kLeavePacks)) state.files &= static_cast<Set>(~own_pack(number));
}

void hold(World& world, const State& state, int number) {
  State& after = world.add({"removes its journal", number}, state);
  after.journals &= static_cast<Set>(~bit(number));
  after.savers[number].step = kCommit;
  State& failed = world.add({"push fails", number}, after);
  drop_packs(world, failed, number);
  end_saver(failed, number);
}

}  // namespace

bool push_steps(World& world, const State& state, int number) {
  if (!pushes(world, number)) return false;
  switch (state.savers[number].step) {
    case kJournal: {
      State& after = world.add({"puts its journal", number}, state);
      after.journals |= bit(number);
      after.savers[number].step = kGoOn;
      return true;
    }
    case kGoOn:
      go_on(world, state, number);
      return true;
    case kList:
      list_packs(world, state, number);
      return true;
    case kHold:
      hold(world, state, number);
      return true;
    default:
      return false;
  }
}

void succeed(const World& world, State& state, int number, bool is_done_by_other) {
  if (pushes(world, number)) {
    const Set taken = state.savers[number].soft;
    for (int session = 0; session < kSessions; ++session) {
      if ((taken & own_pack(session)) != 0) state.journals &= static_cast<Set>(~bit(session));
    }
    if (is_done_by_other) drop_packs(world, state, number);
  }
  end_saver(state, number);
}

void give_up_push(World& world, const State& state, int number, const char* why) {
  State& after = world.add({why, number}, state);
  const bool may_be_published = state.savers[number].unsure != 0;
  if (!may_be_published) {
    if (world.has(Guard::kLeavePacks)) after.journals |= bit(number);
    drop_packs(world, after, number);
  }
  end_saver(after, number);
}

}  // namespace cairn::model
