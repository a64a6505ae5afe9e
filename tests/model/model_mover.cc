// What exchanges the entry of a standing tag: copy-forward (a pack is rewritten, the checkpoint
// stays) and thinning (it needs fewer packs from now on).
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

enum MoverStep : uint8_t { kLook, kLease, kWrite, kSwap };

void end(State& state) {
  state.mover = {kOver, {}};
  state.leases[kMover] = 0;
}

void look(World& world, const State& state) {
  const Entry from = state.root.tags[kTagA];
  State& after = world.add({"mover looks"}, state);
  if (from.packs == 0) return end(after);
  after.mover = {world.scenario.move == Move::kThin ? kSwap : kLease, from};
}

void swap(World& world, const State& state) {
  const Entry from = state.mover.from;
  if (world.has(Guard::kSwapCheck) && state.root.tags[kTagA] != from) {
    return end(world.add({"mover: the entry is another by now"}, state));
  }
  if (world.has(Guard::kRevoke) && (state.root.revoked & bit(kMover)) != 0) {
    return end(world.add({"mover: revoked"}, state));
  }
  State& after = world.add({"mover exchanges the entry"}, state);
  const auto kept = static_cast<Set>(from.packs & ~bit(kA2));
  const Set written = world.scenario.move == Move::kThin ? Set{0} : own_pack(kMover);
  after.root.tags[kTagA] = {static_cast<Set>(kept | written), from.content};
  touch_root(world, after.root);
  end(after);
}

}  // namespace

void mover_steps(World& world, const State& state) {
  if (world.scenario.move == Move::kNone || state.mover.step == kOver) return;
  if (state.mover.step > kLook) end(world.add({"mover crashes"}, state));
  if (state.mover.step == kLook) {
    look(world, state);
  } else if (state.mover.step == kLease) {
    State& after = world.add({"mover's lease"}, state);
    if (world.has(Guard::kMoveLease)) after.leases[kMover] = own_pack(kMover);
    after.mover.step = kWrite;
  } else if (state.mover.step == kWrite) {
    State& after = world.add({"mover writes pack"}, state);
    after.files |= own_pack(kMover);
    after.mover.step = kSwap;
  } else if (state.mover.step == kSwap) {
    swap(world, state);
  }
}

}  // namespace cairn::model
