// All steps from a state, those that belong to no process, and the promises.
#include "tests/model/model_scenario.h"

namespace cairn::model {

static constexpr std::array<const char*, 8> kPackNames = {"a1",    "a2",    "b1",     "moved",
                                                          "own-0", "own-1", "united", "left"};
static constexpr std::array<const char*, kTags> kTagNames = {"A", "B", "S0", "S1"};

void touch_root(const World& world, Root& root) {
  if (world.scenario.in_steps) ++root.version;
}

Set packs_of_tags(const Root& root) {
  Set packs = 0;
  for (const Entry& entry : root.tags) packs |= entry.packs;
  return packs;
}

Set all_leases(const State& state) {
  Set packs = 0;
  for (const Set lease : state.leases) packs |= lease;
  return packs;
}

std::string names_of_packs(Set packs) {
  std::string names;
  for (int pack = 0; pack < 8; ++pack) {
    if ((packs & bit(pack)) == 0) continue;
    if (!names.empty()) names += ' ';
    names += kPackNames[pack];
  }
  return names;
}

static void cut_power(World& world, const State& state) {
  State& after = world.add({"the power is cut"}, state);
  --after.power_cuts;
  after.root = state.durable_root;
  after.files &= state.durable_files;
  after.leases = {};
  after.lease_files = 0;
  for (Saver& saver : after.savers) {
    if (saver.step != 0) saver = {kOver, {}, 0, 0, 0};
  }
  for (Collector& collector : after.collectors) {
    if (collector.step != 0) collector = {kOver, 0, 0, 0};
  }
  for (int tag = 0; tag < kTags; ++tag) {
    const bool promised = (state.acknowledged & bit(tag)) != 0;
    if (promised && after.root.tags[tag].packs == 0) after.wrong = kLostAcknowledged;
  }
}

void user_steps(World& world, const State& state) {
  for (int tag = 0; tag < kTags; ++tag) {
    if ((state.forgets & bit(tag)) == 0 || state.root.tags[tag].packs == 0) continue;
    State& after = world.add({"forget", tag}, state);
    after.forgets &= static_cast<Set>(~bit(tag));
    after.root.tags[tag] = {};
    touch_root(world, after.root);
  }
  if (!world.scenario.power) return;
  if (state.durable_root != state.root) {
    world.add({"the root reaches the disk by itself"}, state).durable_root = state.root;
  }
  if (state.power_cuts > 0) cut_power(world, state);
}

void all_steps(World& world, const State& state) {
  world.steps.clear();
  user_steps(world, state);
  if (world.scenario.parts) {
    parts_steps(world, state);
  } else {
    for (int number = 0; number < kSavers; ++number) saver_steps(world, state, number);
  }
  put_steps(world, state);
  for (int number = 0; number < kCollectors; ++number) collector_steps(world, state, number);
  mover_steps(world, state);
  reader_steps(world, state);
}

static const char* name_of(uint8_t wrong) {
  switch (wrong) {
    case kOverwrote:
      return "a tag was overwritten without leave";
    case kMixedRead:
      return "a reader mixed two checkpoints";
    case kFailedRead:
      return "a reader failed although the tag is there";
    case kLostAcknowledged:
      return "a save that was acknowledged is gone";
    case kFalseFailure:
      return "a save was said to have failed, and its tag stands";
    case kRefusedInVain:
      return "a save was refused although all its processes live";
    default:
      return "";
  }
}

std::string fault(const World& world, const State& state) {
  if (state.wrong != kNothingWrong) return name_of(state.wrong);
  for (int tag = 0; tag < kTags; ++tag) {
    const Set packs = state.root.tags[tag].packs;
    const std::string name = std::string("tag ") + kTagNames[tag];
    const auto missing = static_cast<Set>(packs & ~state.files);
    if (missing != 0) return name + " misses " + names_of_packs(missing);
    const auto doomed = static_cast<Set>(packs & state.root.condemned);
    if (doomed != 0) return name + " needs " + names_of_packs(doomed) + ", which is condemned";
    const Set whole = own_pack(kSaver0) | own_pack(kSaver1);
    if (world.scenario.parts && tag == kTagS0 && packs != 0 && (packs & whole) != whole) {
      return name + " is visible with some of its parts only";
    }
  }
  return "";
}

}  // namespace cairn::model
