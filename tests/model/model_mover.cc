// What exchanges the entry of a standing tag: copy-forward (a pack is rewritten, the checkpoint
// stays) and thinning (it needs fewer packs from now on). At an object store the exchange is, as
// any commit there, read, look and put.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

using namespace move;

void end(State& state) {
  state.mover = {kOver, {}, 0, 0};
  state.commit_roots[kMover] = {};
  state.leases[kMover] = 0;
  state.lease_files &= static_cast<Set>(~bit(kMover));
}

/// At an object store its pack goes with it, unless a root that names it may have been taken.
void fail(World& world, const State& state, const char* why) {
  State& after = world.add({why}, state);
  const bool keeps = state.mover.unsure != 0 && world.has(Guard::kKeepFiles);
  if (world.scenario.bucket && !keeps) after.files &= static_cast<Set>(~own_pack(kMover));
  end(after);
}

void look(World& world, const State& state) {
  const Entry from = state.root.tags[kTagA];
  State& after = world.add({"mover looks"}, state);
  if (from.packs == 0) return end(after);
  after.mover.step = world.scenario.move == Move::kThin ? kSwap : kLease;
  after.mover.from = from;
  if (!world.has(Guard::kOwnPlaces)) after.mover.others = state.root.tags[kTagB].packs & bit(kB1);
}

/// The entry with which the tag does without a2.
Entry entry_to(const World& world, const Mover& mover) {
  const auto kept = static_cast<Set>((mover.from.packs & ~bit(kA2)) | mover.others);
  const Set written = world.scenario.move == Move::kThin ? Set{0} : own_pack(kMover);
  return {static_cast<Set>(kept | written), mover.from.content};
}

/// What an exchange comes to that edits `root` and looks at its lease now.
Verdict judge(const World& world, const State& state, const Root& root) {
  const Entry standing = root.tags[kTagA], to = entry_to(world, state.mover);
  if (world.has(Guard::kRevoke) && (root.revoked & bit(kMover)) != 0) {
    return {.refusal = "mover: revoked"};
  }
  const bool has_lease = (state.lease_files & bit(kMover)) != 0;
  if (world.scenario.move != Move::kThin && world.has(Guard::kOwnLease) && !has_lease) {
    return {.refusal = "mover: its lease is gone"};
  }
  // By a put whose answer was lost. That the program puts the same once more makes no difference.
  if (standing == to) return {.is_done = true};
  if (world.has(Guard::kSwapCheck) && standing != state.mover.from) {
    return {.refusal = "mover: the entry is another by now"};
  }
  Verdict verdict{.edited = root};
  verdict.edited.tags[kTagA] = to;
  touch_root(world, verdict.edited);
  return verdict;
}

void swap(World& world, const State& state) {
  if (world.scenario.bucket) {
    State& after = world.add({"mover reads the root"}, state);
    after.commit_roots[kMover] = state.root;
    after.mover.step = kCheck;
    return;
  }
  const Verdict verdict = judge(world, state, state.root);
  if (verdict.refusal != nullptr) return fail(world, state, verdict.refusal);
  State& after = world.add({"mover exchanges the entry"}, state);
  after.root = verdict.edited;
  end(after);
}

void check_and_send(World& world, const State& state) {
  const Verdict verdict = judge(world, state, state.commit_roots[kMover]);
  if (verdict.is_done) return end(world.add({"mover: it stands already"}, state));
  if (verdict.refusal != nullptr) return fail(world, state, verdict.refusal);
  State after = state;
  if (!send_root(after, kMover, verdict.edited)) return;
  after.mover.step = kSent;
  world.add({"mover looks at its lease and sends the root"}, after);
}

void hear(World& world, const State& state) {
  hear_steps(world, state, kMover, [](State& after, bool is_taken) {
    if (is_taken) return end(after);
    after.mover.step = kSwap;
  });
  if (!world.scenario.mover_may_lose_answer) return;
  State& after = world.add({"mover hears nothing"}, state);
  after.mover.step = kSwap;
  after.mover.unsure = 1;
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
    after.lease_files |= bit(kMover);
    after.mover.step = kWrite;
  } else if (state.mover.step == kWrite) {
    State& after = world.add({"mover writes pack"}, state);
    after.files |= own_pack(kMover);
    after.mover.step = kSwap;
  } else if (state.mover.step == kSwap) {
    swap(world, state);
  } else if (state.mover.step == kCheck) {
    check_and_send(world, state);
  } else if (state.mover.step == kSent) {
    hear(world, state);
  }
}

}  // namespace cairn::model
