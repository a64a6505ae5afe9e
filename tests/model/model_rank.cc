// Two ranks of one save without collectives: each has a lease, writes a pack and leaves its part;
// whoever sees both parts commits, and both may.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

enum RankStep : uint8_t { kLease, kWrite, kLeavePart, kList, kCommit };

constexpr Set kAllRanks = bit(kSaver0) | bit(kSaver1);
constexpr uint8_t kJob = 1;  // the content that the tag of this job has

void end(State& state, int number) {
  state.savers[number] = {kOver, {}, 0, 0, 0};
  state.leases[number] = 0;
}

void fail(World& world, const State& state, int number, const char* why) {
  State& after = world.add({why, number}, state);
  // Certain of its failure, it removes what it wrote; its part names files that are gone then.
  after.files &= static_cast<Set>(~own_pack(number));
  after.parts &= static_cast<Set>(~bit(number));
  end(after, number);
}

Set packs_of_parts(Set parts) {
  return static_cast<Set>(((parts & bit(0)) != 0 ? own_pack(0) : 0) |
                          ((parts & bit(1)) != 0 ? own_pack(1) : 0));
}

void list_parts(World& world, const State& state, int number) {
  const Entry standing = state.root.tags[kTagS0];
  if (standing.packs != 0 && standing.content == kJob) {
    end(world.add({"rank sees the tag", number}, state), number);
  }
  if (world.has(Guard::kAllParts) && state.parts != kAllRanks) return;
  State& after = world.add({"rank lists the parts", number}, state);
  after.savers[number].step = kCommit;
  after.savers[number].soft = packs_of_parts(state.parts);
}

void commit(World& world, const State& state, int number) {
  const Entry standing = state.root.tags[kTagS0];
  if (standing.packs != 0) {
    if (!world.has(Guard::kRepeat)) return fail(world, state, number, "rank: the tag exists");
    end(world.add({"rank: it stands already", number}, state), number);
    return;
  }
  if (world.has(Guard::kJobLeases) && (state.leases[0] == 0 || state.leases[1] == 0)) {
    // Perhaps another rank committed and the tag was forgotten since: nothing is certain here.
    end(world.add({"rank refused: a lease of the job is gone", number}, state), number);
    return;
  }
  State& after = world.add({"rank commits", number}, state);
  after.root.tags[kTagS0] = {state.savers[number].soft, kJob};
  touch_root(world, after.root);
  // The whole job is over: its leases and parts go, also those of a rank that is yet to commit.
  after.leases = {};
  after.parts = 0;
  end(after, number);
}

}  // namespace

void rank_steps(World& world, const State& state, int number) {
  const Saver& rank = state.savers[number];
  if (rank.step == kOver) return;
  if (rank.step > kLease) end(world.add({"rank crashes", number}, state), number);
  const bool part_last = world.has(Guard::kPartLast);
  if (rank.step == kLease) {
    State& after = world.add({"rank's lease", number}, state);
    after.leases[number] = own_pack(number);
    after.savers[number].step = kWrite;
  } else if (rank.step == kWrite || rank.step == kLeavePart) {
    const bool writes = (rank.step == kWrite) == part_last;
    State& after = world.add({writes ? "rank writes pack" : "rank leaves its part", number}, state);
    if (writes) after.files |= own_pack(number);
    if (!writes) after.parts |= bit(number);
    ++after.savers[number].step;
  } else if (rank.step == kList) {
    list_parts(world, state, number);
  } else if (rank.step == kCommit) {
    commit(world, state, number);
  }
}

}  // namespace cairn::model
