#include "store/gc/move_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "store/pack_table.h"

namespace cairn {

/// Less is not worth a metadata pack of its own.
static constexpr uint64_t kDeadMetaBytesMin = 4 * kKiB;

bool is_worth_moving(const Candidate& candidate, double min_dead_percent) {
  if (candidate.has_lost_table) return true;
  const uint64_t dead = candidate.dead_bytes();
  if (candidate.file.kind == FileKind::kMeta && dead < kDeadMetaBytesMin) return false;
  return double(dead) * 100 > min_dead_percent * double(candidate.file.bytes);
}

static bool is_small(const Candidate& candidate, const MoveLimits& limits) {
  if (!limits.merges) return false;
  const bool is_pack = candidate.file.kind == FileKind::kPack;
  return candidate.needed_bytes < (is_pack ? limits.small_pack_bytes : kSmallFileBytes);
}

/// The needed share of a file, in parts of 2^20: what is left to write of each byte freed.
static uint64_t needed_share(const Candidate& candidate) {
  constexpr double kParts = 1 << 20;
  return static_cast<uint64_t>(kParts * double(candidate.needed_bytes) /
                               double(std::max<uint64_t>(candidate.file.bytes, 1)));
}

Victims choose_victims(std::vector<Candidate> candidates, const MoveLimits& limits) {
  size_t small[2] = {0, 0};
  for (const Candidate& each : candidates) {
    small[size_t(each.file.kind)] += is_small(each, limits) ? 1 : 0;
  }
  std::erase_if(candidates, [&](const Candidate& each) {
    const bool to_merge = is_small(each, limits) && small[size_t(each.file.kind)] > kSmallFilesMax;
    return !to_merge && !is_worth_moving(each, limits.min_dead_percent);
  });
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tuple(!a.has_lost_table, needed_share(a), a.file.kind, a.file.file) <
           std::tuple(!b.has_lost_table, needed_share(b), b.file.kind, b.file.file);
  });
  Victims victims;
  uint64_t bytes = 0;
  for (Candidate& each : candidates) {
    if (each.needed_bytes > limits.bytes_max - bytes) {
      victims.smallest_left = std::min(victims.smallest_left, each.needed_bytes);
      continue;
    }
    bytes += each.needed_bytes;
    victims.chosen.push_back(std::move(each));
  }
  return victims;
}

namespace {

class Planner {
 public:
  Planner(const Store& store, const MoveScope& scope) : store_(store), scope_(scope) {}

  Result<MovePlan> run(Victims victims) {
    plan_.smallest_left = victims.smallest_left;
    // What came to the store together stays together.
    std::sort(victims.chosen.begin(), victims.chosen.end(),
              [](const Candidate& a, const Candidate& b) {
                return std::tuple(a.oldest_commit, a.file.kind, a.file.file) <
                       std::tuple(b.oldest_commit, b.file.kind, b.file.file);
              });
    for (Candidate& victim : victims.chosen) {
      bool is_movable = true;
      if (victim.file.kind == FileKind::kPack) {
        CAIRN_TRY(is_movable, place_copies(victim.file));
      }
      if (is_movable) plan_.victims.push_back(std::move(victim));
    }
    close_pack();
    return std::move(plan_);
  }

 private:
  Result<std::vector<PackedCopy>> rows_of(const FileId& source) const {
    const auto lost = scope_.lost.packs.find(source);
    if (lost != scope_.lost.packs.end()) return lost->second;
    return list_copies(store_.fs(), store_.path(), source);
  }

  Result<bool> place_copies(const StoredFile& victim) {
    const FileId& source = victim.file;
    const auto rows = rows_of(source);
    if (!rows && rows.error().code == Code::kCorrupt) return leave(source, rows.error().message);
    if (!rows) return tl::unexpected(rows.error());
    const bool has_lost_table = scope_.lost.has(victim);
    const char* told_by =
        has_lost_table ? "its table is damaged, and no page" : "no row of its table";
    std::vector<const PackedCopy*> found;
    for (const NeededPlace& needed : scope_.needed.in_pack(source)) {
      const PackedCopy* row = find_row(*rows, needed.place);
      if (row == nullptr) {
        return leave(source, fmt::format("{} names a copy at {}", told_by, needed.place.offset));
      }
      if (row->offset + row->stored_bytes > victim.bytes) return leave(source, "it is cut short");
      found.push_back(row);
    }
    for (const PackedCopy* row : found) place_copy(source, *row);
    if (has_lost_table) plan_.untold_copies += found.size();
    return true;
  }

  bool leave(const FileId& source, const std::string& why) {
    plan_.unmovable.push_back(
        fmt::format("pack '{}': {}", relative_path(FileKind::kPack, source), why));
    plan_.unmovable_packs.push_back(source);
    return false;
  }

  static const PackedCopy* find_row(const std::vector<PackedCopy>& rows, const CopyPlace& place) {
    auto row = std::lower_bound(
        rows.begin(), rows.end(), place.offset,
        [](const PackedCopy& each, uint64_t offset) { return each.offset < offset; });
    for (; row != rows.end() && row->offset == place.offset; ++row) {
      if (row->stored_bytes == place.stored_bytes && row->decoded_bytes == place.decoded_bytes) {
        return &*row;
      }
    }
    return nullptr;
  }

  void place_copy(const FileId& source, const PackedCopy& row) {
    const uint64_t aux_bytes = aux_bytes_of(row.bases.size(), row.parameters);
    if (layout_.file_bytes_with(row.stored_bytes, aux_bytes) > store_.pack_bytes()) close_pack();
    const uint64_t offset = layout_.add(row.stored_bytes, aux_bytes);
    open_.copies.push_back({source, row, offset});
  }

  void close_pack() {
    if (layout_.is_empty()) return;
    open_.file_bytes = layout_.file_bytes();
    plan_.packs.push_back(std::move(open_));
    open_ = {};
    layout_ = {};
  }

  const Store& store_;
  const MoveScope& scope_;
  MovePlan plan_;
  NewPack open_;
  PackLayout layout_;
};

}  // namespace

uint64_t MovePlan::moved_copies() const {
  uint64_t copies = 0;
  for (const NewPack& pack : packs) copies += pack.copies.size();
  return copies;
}

bool MovePlan::mends() const {
  return std::any_of(victims.begin(), victims.end(),
                     [](const Candidate& victim) { return victim.has_lost_table; });
}

uint64_t MovePlan::victim_bytes() const {
  uint64_t bytes = 0;
  for (const Candidate& victim : victims) bytes += victim.file.bytes;
  return bytes;
}

/// Whether packs would be written anew only to become as many as they are: large copies leave packs
/// half empty.
static bool merges_in_vain(const MovePlan& plan, const MoveLimits& limits) {
  size_t packs = 0;
  for (const Candidate& victim : plan.victims) {
    if (victim.file.kind != FileKind::kPack) continue;
    if (is_worth_moving(victim, limits.min_dead_percent)) return false;
    ++packs;
  }
  return packs != 0 && plan.packs.size() >= packs;
}

bool add_half_dead_metas(const std::vector<StoredFile>& files, const NeededObjects& kept,
                         const FileMarks& protect, const MoveLimits& limits, MovePlan& plan) {
  std::set<FileId> known;
  for (const Candidate& victim : plan.victims) {
    if (victim.file.kind == FileKind::kMeta) known.insert(victim.file.file);
  }
  const size_t count = plan.victims.size();
  for (const StoredFile& file : files) {
    if (file.kind != FileKind::kMeta || known.contains(file.file)) continue;
    const Candidate candidate{file, kept.needed_bytes(file.file), 0};
    if (candidate.needed_bytes == 0 || protect.is_needed(file)) continue;
    if (is_worth_moving(candidate, limits.min_dead_percent)) plan.victims.push_back(candidate);
  }
  return plan.victims.size() != count;
}

Result<MovePlan> plan_move(const Store& store, const MoveScope& scope, const MoveLimits& limits) {
  NeededCopies& needed = scope.needed;
  std::vector<Candidate> candidates;
  for (const StoredFile& file : scope.files) {
    const bool is_pack = file.kind == FileKind::kPack;
    const uint64_t needed_bytes =
        is_pack ? needed.needed_pack_bytes(file.file) : needed.needed_meta_bytes(file.file);
    if (needed_bytes == 0 || scope.protect.is_needed(file)) continue;
    if (is_pack && scope.damaged.contains(file.file)) continue;
    candidates.push_back(
        {file, needed_bytes, is_pack ? needed.oldest_commit(file.file) : 0, scope.lost.has(file)});
  }
  CAIRN_TRY(MovePlan plan, Planner(store, scope).run(choose_victims(candidates, limits)));
  if (!merges_in_vain(plan, limits)) return plan;
  MoveLimits without_merging = limits;
  without_merging.small_pack_bytes = 0;
  return Planner(store, scope).run(choose_victims(std::move(candidates), without_merging));
}

}  // namespace cairn
