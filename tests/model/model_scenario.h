// What a scenario has in it, and the steps that its processes can take from a state.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/model/model_guard.h"
#include "tests/model/model_state.h"

namespace cairn::model {

enum class Move : uint8_t { kNone, kCopyForward, kThin };

struct SaverPlan {
  Tag target = kTagS0;
  Tag base = kTagA;
  bool may_replace = false;
  bool may_lose_answer = false;
  bool pushes = false;  // the checkpoint that all pushes bring
};

struct Scenario {
  std::string_view name;
  std::vector<Guard> guards;  // without any one of these it breaks
  int savers = 2;
  int collectors = 2;
  std::array<SaverPlan, kSavers> plans = {SaverPlan{kTagS0}, SaverPlan{kTagS1}};
  Set forgets = bit(kTagA) | bit(kTagB);
  Set lookups = bit(kA1) | bit(kA2) | bit(kB1);  // what a look-up may find
  Move move = Move::kNone;
  bool mover_may_lose_answer = false;
  bool reads = false;
  uint8_t retries = 0;    // of the reader; 0: as often as the entry changes
  bool revokes = false;   // gc may take any live session for dead, whose lease cannot be removed
  bool unleases = false;  // ... whose lease goes, and no revocation is left of it
  bool parts = false;     // the savers store two parts of one save, and a third process unites them
  bool power = false;     // files and roots are lost unless synced
  bool in_steps = false;  // gc reads the root, lists the leases, replaces the root: one by one
  bool bucket = false;    // commits read the root, look, and put: one by one, in requests
  bool uploads = false;   // packs are uploads, which nobody sees until they are completed
  bool leftovers = false;  // a killed push left a pack and its journal
};

State start_of(const Scenario& scenario);

/// `number`: of the saver, gc or tag; -1 none. `packs`: those concerned.
struct Label {
  const char* what = "";
  int number = -1;
  Set packs = 0;
};

struct Step {
  Label label;
  State after;
};

/// Scenario, guards and the list that a state's steps are appended to.
struct World {
  const Scenario& scenario;
  Guards guards;
  std::vector<Step> steps;

  bool has(Guard guard) const { return guards[static_cast<size_t>(guard)]; }
  State& add(const Label& label, const State& before) {
    return steps.emplace_back(Step{label, before}).after;
  }
};

void saver_steps(World& world, const State& state, int number);
void put_steps(World& world, const State& state);
void parts_steps(World& world, const State& state);
void collector_steps(World& world, const State& state, int number);
void mover_steps(World& world, const State& state);
void reader_steps(World& world, const State& state);
void user_steps(World& world, const State& state);
void all_steps(World& world, const State& state);

/// The steps of a commit at an object store, and of a push there before it; false for a saver that
/// is not at one of them.
bool commit_steps(World& world, const State& state, int number);
bool push_steps(World& world, const State& state, int number);
/// Sends the root that `writer` has made of the one it has read; false: too many are under way.
bool send_root(State& state, int writer, const Root& wanted);
/// For each answer to a root of the writer that has come.
void hear_steps(World& world, const State& state, int writer,
                const std::function<void(State& after, bool is_taken)>& heard);
/// Whether the saver's tag in `root` is its own.
bool stands(const World& world, const Root& root, int number);
/// What a commit, or an exchange, comes to that edits `root` and looks at leases and files now.
struct Verdict {
  const char* refusal = nullptr;  // why not
  bool is_done = false;           // it stands already
  bool overwrites = false;        // what it may not
  Root edited = {};
};
Verdict judge_commit(const World& world, const State& state, int number, const Root& root);
/// A saver that ends; one whose tag stands, by itself or another; one that failed, and removes its
/// files if it may; a push that leaves what has arrived to the next one.
void end_saver(State& state, int number);
void succeed(const World& world, State& state, int number, bool is_done_by_other = false);
void fail_saver(World& world, const State& state, int number, const char* why);
void give_up_push(World& world, const State& state, int number, const char* why);

/// What every replacement of the root does besides its change.
void touch_root(const World& world, Root& root);
Set packs_of_tags(const Root& root);
Set all_leases(const State& state);
std::string names_of_packs(Set packs);

/// Empty when every promise holds in this state.
std::string fault(const World& world, const State& state);

std::vector<Scenario> all_scenarios();

}  // namespace cairn::model
