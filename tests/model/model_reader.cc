// A load of the tag A: root, then its packs one by one; no lease, no lock.
#include "tests/model/model_scenario.h"

namespace cairn::model {
namespace {

enum ReaderStep : uint8_t { kLook, kRead, kLookAgain };

void finish(State& state, Wrong wrong) {
  state.reader = {kOver, {}, 0, 0, 0};
  state.wrong = wrong;
}

void read_next(World& world, const State& state) {
  const Reader& reader = state.reader;
  const auto left = static_cast<Set>(reader.entry.packs & ~reader.read);
  if (left == 0) {
    const bool mixed = (reader.contents & (reader.contents - 1)) != 0;
    return finish(world.add({"reader has all"}, state), mixed ? kMixedRead : kNothingWrong);
  }
  const auto next = static_cast<Set>(left & -left);
  if ((next & state.files) == 0) {
    State& after = world.add({"reader finds gone", -1, next}, state);
    after.reader.step = kLookAgain;
    if (!world.has(Guard::kReread)) {
      finish(after, state.root.tags[kTagA].packs == 0 ? kNothingWrong : kFailedRead);
    }
    return;
  }
  State& after = world.add({"reader reads", -1, next}, state);
  after.reader.read |= next;
  after.reader.contents |= bit(reader.entry.content);
}

void look_again(World& world, const State& state) {
  const Entry now = state.root.tags[kTagA];
  const uint8_t limit = world.has(Guard::kRereadOften) ? world.scenario.retries : uint8_t{1};
  const bool spent = limit != 0 && state.reader.retries >= limit;
  State& after = world.add({"reader looks again"}, state);
  if (now.packs == 0) return finish(after, kNothingWrong);
  if (spent || now == state.reader.entry) return finish(after, kFailedRead);
  after.reader.step = kRead;
  after.reader.entry = now;
  if (limit != 0) ++after.reader.retries;
  if (world.has(Guard::kRestart)) after.reader.read = after.reader.contents = 0;
}

}  // namespace

void reader_steps(World& world, const State& state) {
  if (!world.scenario.reads || state.reader.step == kOver) return;
  if (state.reader.step == kLook) {
    State& after = world.add({"reader looks"}, state);
    after.reader.step = kRead;
    after.reader.entry = state.root.tags[kTagA];
    if (after.reader.entry.packs == 0) finish(after, kNothingWrong);
  } else if (state.reader.step == kRead) {
    read_next(world, state);
  } else if (state.reader.step == kLookAgain) {
    look_again(world, state);
  }
}

}  // namespace cairn::model
