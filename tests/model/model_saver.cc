// A save: look, lease, look again, write, look up, commit; and what it does about a lost answer.
// Commits at object stores go on in model_put.cc.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

using namespace save;

void look_again(World& world, const State& state, int number) {
  const Saver& saver = state.savers[number];
  const Entry now = state.root.tags[world.scenario.plans[number].base];
  bool lost = saver.base.packs != 0 && now != saver.base;
  if (!world.has(Guard::kSameBase)) lost = saver.base.packs != 0 && now.packs == 0;
  if (!world.has(Guard::kRelook)) lost = false;
  State& after = world.add({lost ? "look again: base lost" : "look again", number}, state);
  const SaverPlan& plan = world.scenario.plans[number];
  after.savers[number].step = plan.pushes ? kJournal : world.scenario.uploads ? kBegin : kWrite;
  if (!lost) return;
  after.savers[number].base = {};
  after.savers[number].seen_epoch = state.root.epoch;
  after.leases[number] = own_pack(number);
}

/// An upload that was dropped cannot be completed.
void write(World& world, const State& state, int number) {
  const bool is_dropped = world.scenario.uploads && (state.uploads & bit(number)) == 0;
  State& after = world.add({is_dropped ? "its upload was dropped" : "write pack", number}, state);
  if (is_dropped) {
    if (state.leases[number] != 0) after.wrong = kRefusedInVain;
    return end_saver(after, number);
  }
  after.files |= own_pack(number);
  after.uploads &= static_cast<Set>(~bit(number));
  const bool syncs = world.scenario.power && world.has(Guard::kSyncPacks);
  after.savers[number].step = syncs ? kSync : kLookUp;
  if (world.scenario.plans[number].pushes) after.savers[number].step = kHold;
}

void look_up(World& world, const State& state, int number) {
  world.add({"no look-up", number}, state).savers[number].step = kCommit;
  for (int pack = 0; pack < kPacksAtStart; ++pack) {
    const Set found = bit(pack) & state.files & world.scenario.lookups;
    if (found == 0) continue;
    State& after = world.add({"look-up finds", number, found}, state);
    after.savers[number].step = kCommit;
    after.savers[number].soft = found;
  }
}

/// What of the look-up may be counted on, under the lock.
Set sound_part(const World& world, const State& state, const Root& root, const Saver& saver) {
  bool sound = (saver.soft & ~state.files) == 0 && (saver.soft & root.condemned) == 0;
  if (!world.has(Guard::kSoftCheck)) sound = true;
  if (!world.has(Guard::kEpochOnly) && saver.seen_epoch == root.epoch) sound = true;
  return sound ? saver.soft : Set{0};
}

void published(World& world, const State& before, int number) {
  const SaverPlan& plan = world.scenario.plans[number];
  if (world.scenario.power) {
    State& after = world.add({"commit", number}, before);
    after.savers[number] = {kSyncCommit, {}, 0, 0, 0};
    if (!world.has(Guard::kAckLate)) after.acknowledged |= bit(plan.target);
    return;
  }
  end_saver(world.add({"commit", number}, before), number);
  if (!plan.may_lose_answer) return;
  State& lost = world.add({"commit, its answer lost", number}, before);
  lost.savers[number].step = kUnsure;
  lost.savers[number].unsure = 1;
}

void commit(World& world, const State& state, int number) {
  const Verdict verdict = judge_commit(world, state, number, state.root);
  if (verdict.is_done) {
    end_saver(world.add({"commit again: it stands already", number}, state), number);
    return;
  }
  if (verdict.refusal != nullptr) return fail_saver(world, state, number, verdict.refusal);
  State after = state;
  after.root = verdict.edited;
  if (verdict.overwrites) after.wrong = kOverwrote;
  published(world, after, number);
}

void unsure(World& world, const State& state, int number) {
  commit(world, state, number);
  end_saver(world.add({"give up, keep the files", number}, state), number);
  if (!stands(world, state.root, number)) {
    fail_saver(world, state, number, "look: not published, so give up");
  }
}

void sync_commit(World& world, const State& state, int number) {
  State& after = world.add({"sync the root, acknowledge", number}, state);
  after.durable_root = state.root;
  after.acknowledged |= bit(world.scenario.plans[number].target);
  end_saver(after, number);
}

}  // namespace

static uint8_t content_of(const World& world, int number) {
  return world.scenario.plans[number].pushes ? kPushed : static_cast<uint8_t>(number + 1);
}

bool stands(const World& world, const Root& root, int number) {
  const Entry standing = root.tags[world.scenario.plans[number].target];
  return standing.packs != 0 && standing.content == content_of(world, number);
}

void end_saver(State& state, int number) {
  state.savers[number] = {kOver, {}, 0, 0, 0};
  state.commit_roots[number] = {};
  state.leases[number] = 0;
  state.lease_files &= static_cast<Set>(~bit(number));
}

void fail_saver(World& world, const State& state, int number, const char* why) {
  if (world.scenario.plans[number].pushes) return give_up_push(world, state, number, why);
  State& after = world.add({why, number}, state);
  if (stands(world, state.root, number)) after.wrong = kFalseFailure;
  const bool may_be_published = state.savers[number].unsure != 0;
  const bool cleans = world.scenario.plans[number].may_lose_answer &&
                      (!may_be_published || !world.has(Guard::kKeepFiles));
  if (cleans) after.files &= static_cast<Set>(~own_pack(number));
  end_saver(after, number);
}

Verdict judge_commit(const World& world, const State& state, int number, const Root& root) {
  const SaverPlan& plan = world.scenario.plans[number];
  const Entry standing = root.tags[plan.target];
  const bool own = stands(world, root, number);
  if (own && world.has(Guard::kRepeat)) return {.is_done = true};
  if (world.has(Guard::kRevoke) && (root.revoked & bit(number)) != 0) {
    return {.refusal = "commit refused: revoked"};
  }
  if (world.has(Guard::kOwnLease) && (state.lease_files & bit(number)) == 0) {
    return {.refusal = "commit refused: its lease is gone"};
  }
  const bool taken = standing.packs != 0 && !plan.may_replace;
  if (taken && (own || world.has(Guard::kExists))) {
    return {.refusal = "commit refused: the tag exists"};
  }
  const Saver& saver = state.savers[number];
  const Set sound = sound_part(world, state, root, saver);
  Verdict verdict{.overwrites = taken, .edited = root};
  verdict.edited.tags[plan.target] = {static_cast<Set>(saver.base.packs | own_pack(number) | sound),
                                      content_of(world, number)};
  touch_root(world, verdict.edited);
  return verdict;
}

void saver_steps(World& world, const State& state, int number) {
  const Saver& saver = state.savers[number];
  if (saver.step == kOver) return;
  if (saver.step > kLook) end_saver(world.add({"saver crashes", number}, state), number);
  if (world.scenario.bucket && commit_steps(world, state, number)) return;
  if (push_steps(world, state, number)) return;
  if (saver.step == kLook) {
    Saver& next = world.add({"look", number}, state).savers[number];
    next = {kLease, state.root.tags[world.scenario.plans[number].base], state.root.epoch, 0, 0};
  } else if (saver.step == kLease) {
    State& after = world.add({"lease", number}, state);
    after.leases[number] = static_cast<Set>(saver.base.packs | own_pack(number));
    after.lease_files |= bit(number);
    after.savers[number].step = kLookAgain;
  } else if (saver.step == kLookAgain) {
    look_again(world, state, number);
  } else if (saver.step == kBegin) {
    State& after = world.add({"begins an upload", number}, state);
    after.uploads |= bit(number);
    after.savers[number].step = kWrite;
  } else if (saver.step == kWrite) {
    write(world, state, number);
  } else if (saver.step == kSync) {
    State& after = world.add({"sync pack", number}, state);
    after.durable_files |= own_pack(number);
    after.savers[number].step = kLookUp;
  } else if (saver.step == kLookUp) {
    look_up(world, state, number);
  } else if (saver.step == kCommit) {
    commit(world, state, number);
  } else if (saver.step == kSyncCommit) {
    sync_commit(world, state, number);
  } else if (saver.step == kUnsure) {
    unsure(world, state, number);
  }
}

}  // namespace cairn::model
