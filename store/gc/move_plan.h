// Which packs are worth writing anew, and where their needed copies will lie. Made from what is
// known before anything is written, so that a dry run knows every byte.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "store/gc/lost_tables.h"
#include "store/gc/needed_copies.h"
#include "store/pack_format.h"

namespace cairn {

/// A pack of which something is needed.
struct Candidate {
  StoredFile file;
  uint64_t needed_bytes = 0;  ///< the size it would have if it held nothing else
  uint64_t oldest_commit = 0;
  bool has_lost_table = false;  ///< worth writing anew whatever is dead

  uint64_t dead_bytes() const { return file.bytes - std::min(file.bytes, needed_bytes); }
};

/// Files below this size are merged with others of their kind,
inline constexpr uint64_t kSmallFileBytes = 16 * kMiB;
/// when there are more of them than this: not one at a time, over and over.
inline constexpr size_t kSmallFilesMax = 16;

/// Whether more of it is dead than that, and enough.
bool is_worth_moving(const Candidate& candidate, double min_dead_percent);

struct MoveLimits {
  uint64_t bytes_max = UINT64_MAX;  ///< to be written, metadata included
  double min_dead_percent = 10;     ///< packs with more dead bytes are written anew
  /// Data packs below this size are merged: less than kSmallFileBytes where packs are never large.
  uint64_t small_pack_bytes = kSmallFileBytes;
  bool merges = true;  ///< also small files without dead bytes
};

struct Victims {
  std::vector<Candidate> chosen;
  /// Of those that bytes_max does not let through; UINT64_MAX when there are none.
  uint64_t smallest_left = UINT64_MAX;
};
/// Pure. First what has lost its table, then what frees most for what it costs to write.
Victims choose_victims(std::vector<Candidate> candidates, const MoveLimits& limits);

struct MovedCopy {
  FileId source;
  PackedCopy row;  ///< as the source's table has it
  uint64_t new_offset = 0;
};
struct NewPack {
  std::vector<MovedCopy> copies;
  uint64_t file_bytes = 0;
};

struct MovePlan {
  std::vector<Candidate> victims;
  std::vector<NewPack> packs;           ///< number i of the session that will write them
  uint64_t smallest_left = UINT64_MAX;  ///< as Victims has it
  std::vector<std::string> unmovable;   ///< packs left as they are, and why
  std::vector<FileId> unmovable_packs;
  uint64_t untold_copies = 0;  ///< of the moved ones, those that no table of a victim names

  bool is_empty() const { return victims.empty(); }
  /// Whether it is worth doing even where it frees nothing.
  bool mends() const;
  /// Whether there was more than bytes_max lets through.
  bool is_cut() const { return smallest_left != UINT64_MAX; }
  uint64_t victim_bytes() const;
  uint64_t moved_copies() const;
};

/// Adds metadata packs that tags need less of once the plan is carried out, as `kept` says, and
/// that are worth writing anew for that. False when there are none.
bool add_half_dead_metas(const std::vector<StoredFile>& files, const NeededObjects& kept,
                         const FileMarks& protect, const MoveLimits& limits, MovePlan& plan);

/// What a plan is made from.
struct MoveScope {
  const std::vector<StoredFile>& files;
  NeededCopies& needed;             ///< by tags
  const FileMarks& protect;         ///< files that it needs are left alone,
  const std::set<FileId>& damaged;  ///< and so are these packs
  const LostTables& lost;
};

/// Plans the move of all that tags need out of the files worth it. Errors: what keeps the table of
/// a pack from being read, unless the pack is damaged.
Result<MovePlan> plan_move(const Store& store, const MoveScope& scope, const MoveLimits& limits);

}  // namespace cairn
