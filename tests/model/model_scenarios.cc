// The scenarios: small enough to be explored to the end, each with a mix of processes in which its
// guards matter.
#include "tests/model/model_scenario.h"

namespace cairn::model {

State start_of(const Scenario& scenario) {
  State state;
  state.root.tags[kTagA] = {bit(kA1) | bit(kA2), 0};
  state.root.tags[kTagB] = {bit(kB1) | bit(kA2), 0};
  state.files = bit(kA1) | bit(kA2) | bit(kB1);
  state.forgets = scenario.forgets;
  if (scenario.leftovers) {
    state.files |= bit(kLeft);
    state.journals = bit(kKilled);
  }
  for (int saver = scenario.savers; saver < kSavers; ++saver) state.savers[saver].step = kOver;
  if (!scenario.parts) state.uniter.step = kOver;
  for (int gc = scenario.collectors; gc < kCollectors; ++gc) state.collectors[gc].step = kOver;
  if (scenario.power) {
    state.durable_root = state.root;
    state.durable_files = state.files;
    state.power_cuts = 1;
  }
  return state;
}

static std::vector<Scenario> scenarios_of_saves() {
  using enum Guard;
  Scenario saves{.name = "saves", .guards = {kRelook, kSoftCheck, kEpochOnly, kRemark, kRelist}};
  saves.guards.insert(saves.guards.end(), {kCondemnFirst, kClearGone});

  Scenario replace{.name = "replace", .guards = {kSameBase, kRelook, kRemark, kRelist}};
  replace.plans[0] = {.target = kTagA, .base = kTagA, .may_replace = true};
  replace.plans[1] = {.target = kTagS0, .base = kTagA};
  replace.lookups = bit(kA2);

  Scenario race = replace;
  race.name = "one name, two saves";
  race.guards = {kExists};
  race.plans[0] = {.target = kTagS0, .base = kTagA};

  Scenario revoked{.name = "revocation", .guards = {kRevoke, kRevokeFirst, kKeepRevoked}};
  revoked.revokes = true;
  revoked.lookups = 0;

  Scenario unleased{.name = "lost lease", .guards = {kOwnLease}};
  unleased.unleases = true;
  unleased.forgets = bit(kTagA);
  unleased.lookups = 0;

  Scenario lost{.name = "lost answer", .guards = {kRepeat, kKeepFiles}};
  lost.plans[0] = {.target = kTagS0, .base = kTagA, .may_lose_answer = true};
  lost.plans[1] = {.target = kTagS1, .base = kTagS0};
  lost.forgets = bit(kTagA) | bit(kTagS0);
  lost.lookups = 0;

  Scenario lost_replace = lost;
  lost_replace.name = "lost answer of a replacement";
  lost_replace.guards = {kKeepFiles};
  lost_replace.plans[0].target = kTagA;
  lost_replace.plans[0].may_replace = true;
  lost_replace.plans[1].base = kTagA;
  lost_replace.forgets = bit(kTagA);
  return {saves, replace, race, revoked, unleased, lost, lost_replace};
}

static std::vector<Scenario> scenarios_of_entries() {
  using enum Guard;
  Scenario copied{.name = "copy-forward", .guards = {kSwapCheck, kMoveLease, kSameBase}};
  copied.move = Move::kCopyForward;
  copied.savers = 1;
  copied.lookups = bit(kA2);

  Scenario thinned = copied;
  thinned.name = "thinning";
  thinned.guards = {kSwapCheck, kSameBase, kRelist};
  thinned.move = Move::kThin;
  thinned.savers = 2;
  thinned.forgets = bit(kTagA) | bit(kTagB);

  Scenario moved = copied;
  moved.name = "copy-forward of a tag that is replaced";
  moved.guards = {kSwapCheck};
  moved.plans[0] = {.target = kTagA, .base = kTagB, .may_replace = true};

  Scenario reader = copied;
  reader.name = "reader with one retry";
  reader.guards = {kReread};
  reader.savers = 0;
  reader.reads = true;
  reader.retries = 1;

  Scenario reader_often = reader;
  reader_often.name = "reader of a tag that changes twice";
  reader_often.guards = {kReread, kRestart, kRereadOften};
  reader_often.savers = 1;
  reader_often.retries = 0;
  reader_often.plans[0] = {.target = kTagA, .base = kTagA, .may_replace = true};
  reader_often.lookups = 0;
  return {copied, thinned, moved, reader, reader_often};
}

static std::vector<Scenario> scenarios_of_machines() {
  using enum Guard;
  Scenario power{.name = "power cut", .guards = {kSyncPacks, kSyncRoot, kAckLate}};
  power.power = true;
  power.savers = 1;
  power.lookups = bit(kA2);

  Scenario in_steps{.name = "condemn in steps", .guards = {kSwapRoot, kFilesFirst}};
  in_steps.in_steps = true;
  in_steps.savers = 1;
  in_steps.forgets = bit(kTagA);
  in_steps.lookups = bit(kA2);
  Scenario newer = in_steps;
  newer.name = "condemn in steps, a base newer than the mark";
  newer.guards = {kRootFirst};
  newer.savers = 2;
  newer.collectors = 1;
  newer.plans[1] = {.target = kTagS1, .base = kTagS0};
  newer.forgets = bit(kTagS0);
  newer.lookups = 0;
  return {power, in_steps, newer};
}

/// Where there are no locks, and requests may arrive late.
static std::vector<Scenario> scenarios_of_buckets() {
  using enum Guard;
  Scenario bucket{.name = "object store", .guards = {kSwapRoot, kSoftCheck, kCondemnFirst}};
  bucket.bucket = bucket.in_steps = true;
  bucket.collectors = 1;
  bucket.forgets = bit(kTagA);
  bucket.lookups = bit(kA1);

  Scenario two_gcs = bucket;
  two_gcs.name = "object store, two gcs";
  two_gcs.guards = {kSwapRoot, kSoftCheck, kClearGone, kFilesFirst};
  two_gcs.savers = 1;
  two_gcs.collectors = 2;

  Scenario lost = bucket;
  lost.name = "object store, lost answer";
  lost.guards = {kKeepFiles, kSwapRoot};
  lost.savers = 1;
  lost.plans[0].may_lose_answer = true;
  lost.lookups = 0;
  lost.forgets = bit(kTagA) | bit(kTagS0);

  Scenario revoked = bucket;
  revoked.name = "object store, revocation";
  revoked.guards = {kRevoke, kRevokeFirst, kKeepRevoked};
  revoked.savers = 1;
  revoked.collectors = 2;
  revoked.revokes = true;
  revoked.lookups = 0;

  Scenario unleased = revoked;
  unleased.name = "object store, lost lease";
  unleased.guards = {kOwnLease};
  unleased.revokes = false;
  unleased.unleases = true;

  Scenario uploads = bucket;
  uploads.name = "object store, uploads";
  uploads.guards = {kUploadsFirst};
  uploads.uploads = true;
  uploads.lookups = 0;
  return {bucket, two_gcs, lost, revoked, unleased, uploads};
}

static std::vector<Scenario> scenarios_of_moves_in_buckets() {
  using enum Guard;
  Scenario moved{.name = "object store, copy-forward",
                 .guards = {kSwapRoot, kSwapCheck, kMoveLease, kSameBase, kOwnPlaces}};
  moved.bucket = moved.in_steps = true;
  moved.move = Move::kCopyForward;
  moved.savers = 1;
  moved.collectors = 1;
  moved.lookups = bit(kA2);

  Scenario two_gcs = moved;
  two_gcs.name = "object store, copy-forward, two gcs";
  two_gcs.guards = {kSwapRoot, kSwapCheck, kMoveLease, kOwnPlaces};
  two_gcs.savers = 0;
  two_gcs.collectors = 2;

  Scenario lost = moved;
  lost.name = "object store, copy-forward, lost answer";
  lost.guards = {kKeepFiles};
  lost.mover_may_lose_answer = true;
  lost.lookups = 0;
  lost.forgets = bit(kTagA);

  Scenario revoked = two_gcs;
  revoked.name = "object store, copy-forward, revocation";
  revoked.guards = {kRevoke, kRevokeFirst, kKeepRevoked};
  revoked.revokes = true;

  Scenario unleased = two_gcs;
  unleased.name = "object store, copy-forward, lost lease";
  unleased.guards = {kOwnLease};
  unleased.unleases = true;
  return {moved, two_gcs, lost, revoked, unleased};
}

/// Pushes of one checkpoint, which go on from each other's packs.
static std::vector<Scenario> scenarios_of_pushes() {
  using enum Guard;
  Scenario after{.name = "object store, push after a push",
                 .guards = {kSwapRoot, kSoftCheck, kCondemnFirst, kOwnLease, kLeavePacks}};
  after.bucket = after.in_steps = true;
  after.collectors = 1;
  after.plans[0] = {.target = kTagS0, .may_lose_answer = true, .pushes = true};
  after.plans[1] = {.target = kTagS0, .pushes = true};
  after.forgets = bit(kTagS0);
  after.lookups = 0;

  Scenario both = after;
  both.name = "object store, two pushes of a tag after a killed one";
  both.guards.push_back(kClearGone);
  both.leftovers = true;
  both.plans[0].may_lose_answer = false;

  Scenario two_tags = both;
  two_tags.name = "object store, pushes of two tags after a killed one";
  two_tags.plans[1].target = kTagS1;

  Scenario two_gcs = both;
  two_gcs.name = "object store, push after a killed one, two gcs";
  two_gcs.guards = {kSoftCheck, kCondemnFirst, kClearGone};
  two_gcs.savers = 1;
  two_gcs.collectors = 2;
  return {after, both, two_tags, two_gcs};
}

static std::vector<Scenario> scenarios_of_parts() {
  using enum Guard;
  Scenario parts{.name = "parts", .guards = {kAllParts, kPartLast, kPartPacks, kPartLeases}};
  parts.guards.insert(parts.guards.end(), {kRemark, kRelist});
  parts.parts = true;
  parts.collectors = 1;
  parts.forgets = bit(kTagA) | bit(kTagS0);

  Scenario two_gcs = parts;
  two_gcs.name = "parts, two gcs";
  two_gcs.guards = {kPartPacks, kCondemnFirst, kClearGone};
  two_gcs.collectors = 2;
  two_gcs.forgets = bit(kTagA) | bit(kTagS0);

  Scenario moved = parts;
  moved.name = "parts whose base is moved";
  moved.guards = {kPartPacks, kPartLeases};
  moved.move = Move::kCopyForward;
  moved.forgets = 0;
  return {parts, two_gcs, moved};
}

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all = scenarios_of_saves();
  for (auto& more :
       {scenarios_of_entries(), scenarios_of_parts(), scenarios_of_machines(),
        scenarios_of_buckets(), scenarios_of_moves_in_buckets(), scenarios_of_pushes()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace cairn::model
