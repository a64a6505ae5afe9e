// gc: mark, (revoke,) condemn, delete, done. On leases see docs/PROTOCOL.md: one that a crash left
// is taken as gone at once, since a lease that stays only protects more.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

enum CollectorStep : uint8_t {
  kMark,
  kMarkRest,  // where uploads are listed, too
  kCondemn,
  kReadRoot,
  kListLeases,
  kWriteRoot,
  kSync,
  kDrop,
  kDelete
};

/// From then on no collector heeds the lease. That it can be removed, too, is another scenario: the
/// revocation then goes with the next condemning, and only the missing lease tells the session.
void revoke(World& world, const State& state) {
  for (int session = 0; session < kWriters; ++session) {
    if (state.leases[session] == 0) continue;
    State after = state;
    after.leases[session] = 0;
    if (world.scenario.unleases) {
      after.lease_files &= static_cast<Set>(~bit(session));
      world.add({"gc takes for dead and removes the lease", session}, after);
      continue;
    }
    if (world.has(Guard::kRevokeFirst)) after.root.revoked |= bit(session);
    touch_root(world, after.root);
    world.add({"gc takes for dead and revokes; the lease stays", session}, after);
  }
}

Set leased_sessions(const State& state) {
  Set sessions = 0;
  for (int session = 0; session < kSessions; ++session) {
    if (state.leases[session] != 0) sessions |= bit(session);
  }
  return sessions;
}

/// Uploads and leases are listed one after the other; those that have no lease are dropped later.
void mark(World& world, const State& state, int number) {
  const bool lists = world.scenario.uploads;
  const bool is_first = state.collectors[number].step == kMark;
  const bool marks = !lists || is_first != world.has(Guard::kUploadsFirst);
  State& after = world.add({marks ? "gc marks" : "gc lists the uploads", number}, state);
  Collector& next = after.collectors[number];
  next.step = lists && is_first ? kMarkRest : kCondemn;
  if (marks) next.packs = static_cast<Set>(packs_of_tags(state.root) | all_leases(state));
  if (!lists) return;
  const Set listed = marks ? static_cast<Set>(~leased_sessions(state)) : state.uploads;
  next.uploads = is_first ? listed : static_cast<Set>(next.uploads & listed);
}

/// What is marked when the root is about to be replaced. The tags of the plan are among the marked
/// already, so marking all tags is marking those added since.
Set marked_now(const World& world, const State& state, Set marked) {
  if (world.has(Guard::kRemark)) marked |= packs_of_tags(state.root);
  if (world.has(Guard::kRelist)) marked |= all_leases(state);
  return marked;
}

void condemn(World& world, const State& state, int number, Root root, Set dead) {
  State& after = world.add({"gc condemns", number, dead}, state);
  const auto doomed = static_cast<Set>(root.condemned | dead);
  if (world.has(Guard::kCondemnFirst)) root.condemned = doomed;
  root.revoked = world.has(Guard::kKeepRevoked) ? root.revoked & state.lease_files : 0;
  ++root.epoch;
  touch_root(world, root);
  after.root = root;
  const bool syncs = world.scenario.power && world.has(Guard::kSyncRoot);
  after.collectors[number].step = syncs ? kSync : world.scenario.uploads ? kDrop : kDelete;
  after.collectors[number].packs = doomed;
  after.collectors[number].listed = 0;
  after.read_roots[number] = {};
}

void condemn_at_once(World& world, const State& state, int number) {
  const Set marked = marked_now(world, state, state.collectors[number].packs);
  condemn(world, state, number, state.root, static_cast<Set>(state.files & ~marked));
}

void read_root(World& world, const State& state, int number) {
  State& after = world.add({"gc reads the root", number}, state);
  after.read_roots[number] = state.root;
  after.collectors[number].packs |= packs_of_tags(state.root);
  if (world.has(Guard::kRootFirst)) after.collectors[number].listed = state.files;
  after.collectors[number].step = world.has(Guard::kRootFirst) ? kListLeases : kWriteRoot;
}

void list_leases(World& world, const State& state, int number) {
  State& after = world.add({"gc lists the leases", number}, state);
  if (!world.has(Guard::kRootFirst)) after.collectors[number].listed = state.files;
  after.collectors[number].packs |= all_leases(state);
  after.collectors[number].step = world.has(Guard::kRootFirst) ? kWriteRoot : kReadRoot;
}

void write_root(World& world, const State& state, int number) {
  const Root& read = state.read_roots[number];
  const Collector& collector = state.collectors[number];
  if (world.has(Guard::kSwapRoot) && read != state.root) {
    State& after = world.add({"gc: the root is another by now", number}, state);
    after.read_roots[number] = {};
    after.collectors[number].step = kCondemn;
    after.collectors[number].listed = 0;
    return;
  }
  const Set listed = world.has(Guard::kFilesFirst) ? collector.listed : state.files;
  condemn(world, state, number, read, static_cast<Set>(listed & ~collector.packs));
}

/// In steps: the root and the files, then the leases, then the replacement.
void begin_condemn(World& world, const State& state, int number) {
  if (!world.scenario.in_steps) return condemn_at_once(world, state, number);
  if (world.has(Guard::kRootFirst)) return read_root(world, state, number);
  list_leases(world, state, number);
}

void remove(World& world, const State& state, int number) {
  const Set left = state.collectors[number].packs & state.files;
  for (int pack = 0; pack < 8; ++pack) {
    if ((left & bit(pack)) == 0) continue;
    State& after = world.add({"gc deletes", number, bit(pack)}, state);
    after.files &= static_cast<Set>(~bit(pack));
    after.durable_files &= static_cast<Set>(~bit(pack));
  }
  if (left != 0 && world.has(Guard::kClearGone)) return;
  State& after = world.add({"gc takes off the condemned list", number}, state);
  after.root.condemned &= static_cast<Set>(~state.collectors[number].packs);
  touch_root(world, after.root);
  if (left == 0) after.collectors[number] = {kOver, 0, 0, 0};
}

}  // namespace

void collector_steps(World& world, const State& state, int number) {
  const Collector& collector = state.collectors[number];
  if (collector.step == kOver) return;
  if (collector.step > kMark) {
    State& after = world.add({"gc crashes", number}, state);
    after.collectors[number] = {kOver, 0, 0, 0};
    after.read_roots[number] = {};
  }
  const bool judges = world.scenario.revokes || world.scenario.unleases;
  if (judges && collector.step <= kCondemn) revoke(world, state);
  if (collector.step == kMark || collector.step == kMarkRest) {
    mark(world, state, number);
  } else if (collector.step == kCondemn) {
    begin_condemn(world, state, number);
  } else if (collector.step == kReadRoot) {
    read_root(world, state, number);
  } else if (collector.step == kListLeases) {
    list_leases(world, state, number);
  } else if (collector.step == kWriteRoot) {
    write_root(world, state, number);
  } else if (collector.step == kSync) {
    State& after = world.add({"gc syncs the root", number}, state);
    after.durable_root = state.root;
    after.collectors[number].step = kDelete;
  } else if (collector.step == kDrop) {
    State& after = world.add({"gc drops uploads", number}, state);
    after.uploads &= static_cast<Set>(~collector.uploads);
    after.collectors[number].uploads = 0;
    after.collectors[number].step = kDelete;
  } else if (collector.step == kDelete) {
    remove(world, state, number);
  }
}

}  // namespace cairn::model
