// A commit at an object store, where there is no lock: read the root, look at lease and files, put
// the edited root on the condition that it is still the one that was read. The put is a request: it
// may arrive late, when its sender has given up or is gone, and its answer may be lost.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

using namespace save;

void read_root(World& world, const State& state, int number) {
  State& after = world.add({"reads the root", number}, state);
  after.commit_roots[number] = state.root;
  after.savers[number].step = kCheck;
}

/// A put of before, whose answer was lost, may still make the tag: then nobody says that it failed.
void refuse(World& world, const State& state, int number, const char* why) {
  const bool is_known = state.savers[number].unsure == 0 || !world.has(Guard::kKeepFiles);
  if (is_known) return fail_saver(world, state, number, why);
  end_saver(world.add({why, number}, state), number);
}

void check_and_send(World& world, const State& state, int number) {
  const Verdict verdict = judge_commit(world, state, number, state.commit_roots[number]);
  if (verdict.is_done) {
    const bool is_own = state.savers[number].unsure != 0;
    succeed(world, world.add({"it stands already", number}, state), number, !is_own);
    return;
  }
  if (verdict.refusal != nullptr) return refuse(world, state, number, verdict.refusal);
  State after = state;
  if (!send_root(after, number, verdict.edited)) return;
  after.savers[number].step = kSent;
  world.add({"looks at its lease and sends the root", number}, after);
}

/// The answer to the put that was sent last comes, or does not.
void hear(World& world, const State& state, int number) {
  hear_steps(world, state, number, [&](State& after, bool is_taken) {
    if (is_taken) return succeed(world, after, number);
    after.savers[number].step = kCommit;
  });
  if (!world.scenario.plans[number].may_lose_answer) return;
  State& after = world.add({"hears nothing", number}, state);
  after.savers[number].step = kUnsure;
  after.savers[number].unsure = 1;
}

void unsure(World& world, const State& state, int number) {
  read_root(world, state, number);
  end_saver(world.add({"gives up, keeps the files", number}, state), number);
  if (!stands(world, state.root, number)) {
    fail_saver(world, state, number, "looks: not published, so gives up");
  }
}

}  // namespace

bool commit_steps(World& world, const State& state, int number) {
  switch (state.savers[number].step) {
    case kCommit:
      read_root(world, state, number);
      return true;
    case kCheck:
      check_and_send(world, state, number);
      return true;
    case kSent:
      hear(world, state, number);
      return true;
    case kUnsure:
      unsure(world, state, number);
      return true;
    default:
      return false;
  }
}

bool send_root(State& state, int writer, const Root& wanted) {
  for (int i = 0; i < kPutsOfOne; ++i) {
    Put& put = state.puts[writer * kPutsOfOne + i];
    if (put.state != kNoPut) continue;
    put = {wanted, state.commit_roots[writer].version, kUnderWay};
    state.commit_roots[writer] = {};
    return true;
  }
  return false;
}

void hear_steps(World& world, const State& state, int writer,
                const std::function<void(State& after, bool is_taken)>& heard) {
  for (int i = writer * kPutsOfOne; i < (writer + 1) * kPutsOfOne; ++i) {
    const bool is_taken = state.puts[i].state == kTaken;
    if (!is_taken && state.puts[i].state != kRefused) continue;
    const char* const what =
        is_taken ? "hears that its root was taken" : "hears that another root was first";
    State& after = world.add({what, writer}, state);
    after.puts[i] = {};
    heard(after, is_taken);
  }
}

static bool is_waiting(const State& state, int writer) {
  if (writer == kMover) return state.mover.step == move::kSent;
  return state.savers[writer].step == kSent;
}

/// A put arrives; nobody waits any more for the outcome of one whose sender is gone.
void put_steps(World& world, const State& state) {
  for (size_t i = 0; i < state.puts.size(); ++i) {
    const Put& put = state.puts[i];
    const auto number = static_cast<int>(i) / kPutsOfOne;
    const bool is_heard = is_waiting(state, number);
    if (put.state == kTaken || put.state == kRefused) {
      if (!is_heard) world.add({"an answer finds nobody", number}, state).puts[i] = {};
      continue;
    }
    if (put.state != kUnderWay) continue;
    const bool is_taken = put.read_version == state.root.version || !world.has(Guard::kSwapRoot);
    State& after =
        world.add({is_taken ? "the root is taken" : "the root is refused", number}, state);
    if (is_taken) after.root = put.wanted;
    after.puts[i] = {};
    if (is_heard) after.puts[i].state = is_taken ? kTaken : kRefused;
  }
}

}  // namespace cairn::model
