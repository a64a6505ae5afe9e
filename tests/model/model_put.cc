// A commit at an object store, where there is no lock: read the root, look at lease and files, put
// the edited root on the condition that it is still the one that was read. The put is a request: it
// may arrive late, when its sender has given up or is gone, and its answer may be lost.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

using namespace save;

Put* free_slot(State& state, int number) {
  for (int i = 0; i < kPutsOfOne; ++i) {
    Put& put = state.puts[number * kPutsOfOne + i];
    if (put.state == kNoPut) return &put;
  }
  return nullptr;
}

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
    end_saver(world.add({"it stands already", number}, state), number);
    return;
  }
  if (verdict.refusal != nullptr) return refuse(world, state, number, verdict.refusal);
  State after = state;
  Put* const put = free_slot(after, number);
  if (put == nullptr) return;
  *put = {state.commit_roots[number], verdict.edited, kUnderWay};
  after.commit_roots[number] = {};
  after.savers[number].step = kSent;
  world.add({"looks at its lease and sends the root", number}, after);
}

/// The answer to the put that was sent last comes, or does not.
void hear(World& world, const State& state, int number) {
  int last = number * kPutsOfOne;
  while (state.puts[last].state == kNoPut) ++last;
  for (int i = last; i < (number + 1) * kPutsOfOne; ++i) {
    if (state.puts[i].state == kNoPut) continue;
    if (state.puts[i].state == kTaken) {
      State& after = world.add({"hears that its root was taken", number}, state);
      after.puts[i] = {};
      end_saver(after, number);
    } else if (state.puts[i].state == kRefused) {
      State& after = world.add({"hears that another root was first", number}, state);
      after.puts[i] = {};
      after.savers[number].step = kCommit;
    }
  }
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

/// A put arrives; nobody waits any more for the outcome of one whose sender is gone.
void put_steps(World& world, const State& state) {
  for (size_t i = 0; i < state.puts.size(); ++i) {
    const Put& put = state.puts[i];
    const auto number = static_cast<int>(i) / kPutsOfOne;
    const bool is_heard = state.savers[number].step == kSent;
    if (put.state == kTaken || put.state == kRefused) {
      if (!is_heard) world.add({"an answer finds nobody", number}, state).puts[i] = {};
      continue;
    }
    if (put.state != kUnderWay) continue;
    const bool is_taken = put.read == state.root || !world.has(Guard::kSwapRoot);
    State& after =
        world.add({is_taken ? "the root is taken" : "the root is refused", number}, state);
    if (is_taken) after.root = put.wanted;
    after.puts[i] = {};
    if (is_heard) after.puts[i].state = is_taken ? kTaken : kRefused;
  }
}

}  // namespace cairn::model
