// One state of the modelled store: its root, its files, and where every process stands.
// Packs stand for everything a tag needs; sets of packs, tags and sessions are bit sets. A state is
// plain bytes without padding, so that it can be hashed and compared as such; whatever a process no
// longer needs is set back to zero, which keeps the number of different states small.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace cairn::model {

using Set = uint8_t;  // of packs, tags or sessions

constexpr Set bit(int number) { return static_cast<Set>(1U << number); }

// Packs that are there from the start, then those that sessions write.
enum Pack { kA1, kA2, kB1, kPacksAtStart, kMoved = kPacksAtStart, kOwn0, kOwn1, kUnited, kLeft };
enum Tag { kTagA, kTagB, kTagS0, kTagS1, kTags };
enum Session { kSaver0, kSaver1, kMover, kUniter, kKilled, kSessions };
constexpr int kSavers = 2;
constexpr int kWriters = 3;  // who sends new roots to object stores: savers and the mover
constexpr int kCollectors = 2;
/// Where a saver stands; those who need the names say `using namespace save`.
namespace save {
enum Step : uint8_t {
  kLook,
  kLease,
  kLookAgain,
  kWrite,
  kSync,
  kLookUp,
  kCommit,
  kSyncCommit,
  kUnsure,
  kCheck,    // at an object store: the root is read
  kSent,     // ... and the new one is under way
  kBegin,    // an upload
  kJournal,  // of a push there
  kGoOn,
  kList,
  kHold
};
}  // namespace save
/// Where the mover stands.
namespace move {
enum Step : uint8_t { kLook, kLease, kWrite, kSwap, kCheck, kSent };
}  // namespace move
constexpr uint8_t kOver = 31;  // the step of a process that ended or was killed

constexpr Set own_pack(int session) {
  if (session == kMover) return bit(kMoved);
  if (session == kKilled) return bit(kLeft);
  return session == kUniter ? bit(kUnited) : bit(kOwn0 + session);
}

/// No packs: no such tag. `content` tells checkpoints of one name apart: 0 at the start, then
/// session + 1 of the save, or kPushed. Moving chunks changes the packs and not the content.
struct Entry {
  Set packs = 0;
  uint8_t content = 0;
  bool operator==(const Entry&) const = default;
};

constexpr uint8_t kPushed = kSessions + 1;  // the checkpoint that all pushes bring

struct Root {
  std::array<Entry, kTags> tags;
  Set condemned = 0;
  Set revoked = 0;
  uint8_t epoch = 0;
  uint8_t version = 0;  // counts replacements; only where a step between read and write is modelled
  bool operator==(const Root&) const = default;
};

/// A saver, a part of a save, or who unites parts. `soft`: what a look-up found; of who unites, the
/// parts; of a push, what others left. `unsure`: a commit was tried and its answer was lost.
struct Saver {
  uint8_t step = 0;
  Entry base;
  uint8_t seen_epoch = 0;
  Set soft = 0;
  uint8_t unsure = 0;
};

/// A root on its way to an object store, which takes it if it still has the version that was read.
/// Its sender may be gone when it arrives.
struct Put {
  Root wanted;
  uint8_t read_version = 0;
  uint8_t state = 0;  // see PutState
};

enum PutState : uint8_t { kNoPut, kUnderWay, kTaken, kRefused };
constexpr int kPutsOfOne = 2;  // at once: one whose answer was lost, and the next

/// `packs`: what is marked, then what is to be deleted. `listed`: the files, where listing them is
/// a step of its own. `uploads`: those to be dropped, by session.
struct Collector {
  uint8_t step = 0;
  Set packs = 0;
  Set listed = 0;
  Set uploads = 0;
};

/// `others`: packs of other tags that it counts on. `unsure`: as of a saver.
struct Mover {
  uint8_t step = 0;
  Entry from;
  Set others = 0;
  uint8_t unsure = 0;
};

/// `read`: packs read under `entry`; `contents`: those the bytes came from.
struct Reader {
  uint8_t step = 0;
  Entry entry;
  Set read = 0;
  Set contents = 0;
  uint8_t retries = 0;
};

struct State {
  Root root;
  Root durable_root;  // what a power cut may bring back
  Set files = 0;
  Set durable_files = 0;
  std::array<Set, kSessions> leases = {};  // what collectors heed; 0: none
  Set lease_files = 0;  // of savers and the mover: one that is not heeded may lie there still
  Set journals = 0;     // of pushes, by session: that others may go on from
  Set uploads = 0;      // by session: begun, neither completed nor dropped
  std::array<Saver, kSavers> savers;
  std::array<Root, kWriters> commit_roots;  // of writers at object stores: what they edit
  std::array<Put, kWriters * kPutsOfOne> puts;
  Saver uniter;
  std::array<Entry, kSavers> told = {};  // by part, the base that its copies were taken from
  std::array<Collector, kCollectors> collectors;
  Mover mover;
  Reader reader;
  std::array<Root, kCollectors> read_roots;  // of collectors that read and write in two steps
  Set forgets = 0;                           // tags that the user may still forget
  Set parts = 0;                             // of a save, whose names are known
  Set acknowledged = 0;                      // tags whose saver was told that they are safe
  uint8_t power_cuts = 0;                    // that may still happen
  uint8_t wrong = 0;                         // a Wrong that happened in the step to this state
};
static_assert(std::has_unique_object_representations_v<State>);

enum Wrong : uint8_t {
  kNothingWrong,
  kOverwrote,
  kMixedRead,
  kFailedRead,
  kLostAcknowledged,
  kFalseFailure,
  kRefusedInVain
};

}  // namespace cairn::model
