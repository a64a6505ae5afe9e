// A save by two processes, each of which stores its part of the tag, and one that unites the parts:
// a session of its own that commits.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

enum PartStep : uint8_t { kLook, kLease, kLookAgain, kWrite, kName, kHold };
enum UniteStep : uint8_t { kGather, kBase, kUniteLease, kBaseAgain, kUniteWrite, kCommit };

constexpr Tag kTarget = kTagS0, kBaseTag = kTagA;
constexpr uint8_t kContent = 1;

void end_part(State& state, int number) {
  state.savers[number] = {kOver, {}, 0, 0, 0};
  state.leases[number] = 0;
}

void end_uniting(State& state) {
  state.uniter = {kOver, {}, 0, 0, 0};
  state.leases[kUniter] = 0;
}

/// What of the tag a part says: its own pack, and copies of the base that it took over.
Set packs_of_part(const State& state, int number) {
  return static_cast<Set>(own_pack(number) | state.told[number].packs);
}

void look_again(World& world, const State& state, int number) {
  const bool lost = state.root.tags[kBaseTag] != state.savers[number].base;
  State& after =
      world.add({lost ? "part looks again: base lost" : "part looks again", number}, state);
  after.savers[number].step = kWrite;
  if (!lost) return;
  after.savers[number].base = {};
  after.leases[number] = own_pack(number);
}

/// Its process writes the pack, and then tells what is in it: from then on others know of it.
void store(World& world, const State& state, int number) {
  const bool writes = (state.savers[number].step == kWrite) == world.has(Guard::kPartLast);
  State& after = world.add({writes ? "part's pack" : "part's name", number}, state);
  if (writes) after.files |= own_pack(number);
  if (!writes) {
    after.parts |= bit(number);
    after.told[number] = state.savers[number].base;
  }
  ++after.savers[number].step;
  const bool ends_early = after.savers[number].step == kHold && !world.has(Guard::kPartLeases);
  if (ends_early) after.leases[number] = 0;
}

void part_steps(World& world, const State& state, int number) {
  const Saver& part = state.savers[number];
  if (part.step == kOver) return;
  if (part.step > kLook) end_part(world.add({"part's process dies", number}, state), number);
  if (part.step == kLook) {
    Saver& next = world.add({"part looks", number}, state).savers[number];
    next = {kLease, state.root.tags[kBaseTag], 0, 0, 0};
  } else if (part.step == kLease) {
    State& after = world.add({"part's lease", number}, state);
    after.leases[number] = static_cast<Set>(part.base.packs | own_pack(number));
    after.savers[number].step = kLookAgain;
  } else if (part.step == kLookAgain) {
    look_again(world, state, number);
  } else if (part.step == kWrite || part.step == kName) {
    store(world, state, number);
  } else if (part.step == kHold && state.uniter.step == kOver) {
    end_part(world.add({"part ends", number}, state), number);
  }
}

void gather(World& world, const State& state) {
  constexpr Set kAll = bit(kSaver0) | bit(kSaver1);
  if (state.parts == 0 || (world.has(Guard::kAllParts) && state.parts != kAll)) return;
  State& after = world.add({"the parts are read"}, state);
  after.uniter.soft = state.parts;
  after.uniter.step = kBase;
}

/// Whether copies that parts are made from can be found: in the checkpoint that these were compared
/// with, wherever it lies by now.
bool has_base_of(const State& state, int number) {
  const Entry& told = state.told[number];
  const Entry& base = state.uniter.base;
  return told.packs == 0 || (base.packs != 0 && base.content == told.content);
}

void base_again(World& world, const State& state) {
  const Entry now = state.root.tags[kBaseTag];
  const bool lost = world.has(Guard::kRelook) && now != state.uniter.base;
  State& after =
      world.add({lost ? "uniting looks again: base lost" : "uniting looks again"}, state);
  if (lost) {
    after.uniter.base = {};
    after.leases[kUniter] = own_pack(kUniter);
  }
  after.uniter.step = kUniteWrite;
  for (const int number : {0, 1}) {
    if ((after.uniter.soft & bit(number)) == 0 || has_base_of(after, number)) continue;
    return end_uniting(after);  // refused: to be saved again
  }
}

void refuse(World& world, const State& state, const char* why) {
  State& after = world.add({why}, state);
  const bool all_live = state.savers[0].step != kOver && state.savers[1].step != kOver;
  if (all_live) after.wrong = kRefusedInVain;
  after.files &= static_cast<Set>(~own_pack(kUniter));
  end_uniting(after);
}

void commit(World& world, const State& state) {
  Set packs_of_parts = 0;
  for (const int number : {0, 1}) {
    if ((state.uniter.soft & bit(number)) != 0) packs_of_parts |= packs_of_part(state, number);
  }
  // The lease of the uniting session protects the base as it stands; nothing else of the parts.
  const Set leased = state.uniter.base.packs;
  const auto counted_on = static_cast<Set>(packs_of_parts & ~leased);
  const bool sound = (counted_on & ~state.files) == 0 && (counted_on & state.root.condemned) == 0;
  if (world.has(Guard::kPartPacks) && !sound) {
    return refuse(world, state, "refused: a pack of a part is gone");
  }
  State& after = world.add({"the parts are one tag"}, state);
  after.root.tags[kTarget] = {static_cast<Set>(packs_of_parts | leased | own_pack(kUniter)),
                              kContent};
  touch_root(world, after.root);
  end_uniting(after);
}

void unite_steps(World& world, const State& state) {
  const Saver& uniter = state.uniter;
  if (uniter.step == kOver) return;
  end_uniting(world.add({"who unites dies"}, state));
  if (uniter.step == kGather) {
    gather(world, state);
  } else if (uniter.step == kBase) {
    Saver& next = world.add({"uniting looks"}, state).uniter;
    next.base = state.root.tags[kBaseTag];
    next.step = kUniteLease;
  } else if (uniter.step == kUniteLease) {
    State& after = world.add({"uniting lease"}, state);
    after.leases[kUniter] = static_cast<Set>(uniter.base.packs | own_pack(kUniter));
    after.uniter.step = kBaseAgain;
  } else if (uniter.step == kBaseAgain) {
    base_again(world, state);
  } else if (uniter.step == kUniteWrite) {
    State& after = world.add({"pages and table of all parts"}, state);
    after.files |= own_pack(kUniter);
    after.uniter.step = kCommit;
  } else if (uniter.step == kCommit) {
    commit(world, state);
  }
}

}  // namespace

void parts_steps(World& world, const State& state) {
  for (int number = 0; number < kSavers; ++number) part_steps(world, state, number);
  unite_steps(world, state);
}

}  // namespace cairn::model
