// A collection: (1) what nobody needs is deleted, which needs no room; (2) needed copies of files
// worth it are moved, some gigabytes at a time; (3) the files they left are deleted; again from (2)
// until nothing is left to move.
#include "store/gc/collect.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/ballast.h"
#include "store/distrust.h"
#include "store/gc/rebase.h"
#include "store/writable.h"

namespace cairn {
namespace {

/// What a crash can make undone.
constexpr uint64_t kMovedAtOnce = 16 * kGiB;
/// Left free for savers.
constexpr uint64_t kFreeBytesMin = 8 * kMiB;

/// Of what is free, on a small disk a part.
uint64_t usable_bytes(uint64_t free_bytes) {
  return free_bytes - std::min(kFreeBytesMin, free_bytes / 4);
}

/// Moves in vain: every tag concerned was changed by someone else meanwhile.
constexpr int kVainMovesMax = 3;

/// Of a dry run in vain, each because the store changed meanwhile.
constexpr int kPlansMax = 8;

class Collection {
 public:
  Collection(const Store& store, const GcRequest& request) : store_(store), request_(request) {}

  Result<GcReport> plan() {
    CAIRN_TRY(const Survey survey, survey_store(store_, request_.without));
    Reclaimed deleted{survey.unneeded(), 0, {}};
    uint64_t freed_bytes = 0;
    for (const StoredFile& file : deleted.deleted) freed_bytes += file.bytes;
    CAIRN_TRY(const MovePlan plan, plan_moves(survey, request_.move.bytes_max, freed_bytes));
    if (!plan.is_empty()) {
      count_moved(plan, planned_bytes_);
      for (const Candidate& victim : plan.victims) deleted.deleted.push_back(victim.file);
      deleted.deleted.insert(deleted.deleted.end(), vacated_.begin(), vacated_.end());
    }
    for (const StoredFile& file : deleted.deleted) deleted.copies += count_copies(store_, file);
    count_deleted(deleted);
    estimate_rebase(survey);
    return std::move(report_);
  }

  Result<GcReport> run() {
    CAIRN_CHECK(reclaim_unneeded());
    if (request_.rebase) CAIRN_CHECK(rebase_and_reclaim());
    CAIRN_CHECK(move_and_reclaim());
    // Now only: each reclaiming in between told anew what it could not delete.
    if (not_rebased_) report_.failures.push_back(*not_rebased_);
    // Marks that stay do no harm.
    (void)forget_distrust(store_).has_value();
    if (!request_.rebase) {
      report_.rebase.reset();
      if (const auto survey = survey_store(store_)) estimate_rebase(*survey);
    }
    // On a disk that is still full the ballast is made another time.
    (void)make_ballast(store_.fs(), store_.path()).has_value();
    return std::move(report_);
  }

 private:
  Status reclaim_unneeded() {
    CAIRN_TRY(Reclaimed reclaimed, reclaim(store_, request_.reclaim));
    count_deleted(reclaimed);
    report_.failures = std::move(reclaimed.failures);
    return {};
  }

  /// Reads what a collection needs not: damage there is no reason to fail.
  void estimate_rebase(const Survey& survey) {
    report_.rebase.reset();
    const auto plan = plan_rebase(store_, survey, request_.move.min_dead_percent);
    if (plan && plan->damage.empty()) {
      report_.rebase = RebaseEstimate{plan->frees_bytes, plan->writes_bytes};
    }
  }

  Status rebase_and_reclaim() {
    CAIRN_TRY(const Survey survey, survey_store(store_));
    CAIRN_TRY(const RebasePlan plan, plan_rebase(store_, survey, request_.move.min_dead_percent));
    report_.not_rebased = plan.damage;
    if (plan.is_empty()) return {};
    Rebased rebased;
    const MoveRequest how{request_.reclaim.wait, request_.threads, request_.progress,
                          request_.reclaim.stop};
    const Status done = rebase(store_, survey, plan, how, rebased);
    report_.not_rebased.insert(report_.not_rebased.end(), rebased.damage.begin(),
                               rebased.damage.end());
    if (!done && done.error().code == Code::kNoSpace) {
      not_rebased_ = fmt::format("chains stay long: {}", done.error().message);
      return {};
    }
    CAIRN_CHECK(done);
    report_.copies_rebased = rebased.copies;
    report_.moved_bytes += rebased.moved.written_bytes;
    report_.freed_bytes -= static_cast<int64_t>(rebased.moved.written_bytes);
    return reclaim_unneeded();
  }

  Status move_and_reclaim() {
    uint64_t left = request_.move.bytes_max;
    for (int vain_moves = 0; vain_moves < kVainMovesMax;) {
      CAIRN_TRY(const Survey survey, survey_store(store_));
      const uint64_t bytes_max = std::min(left, kMovedAtOnce);
      CAIRN_TRY(const MovePlan plan, plan_moves(survey, bytes_max, 0));
      if (plan.is_empty()) return {};
      Moved moved;
      const Status done = move(survey, plan, moved);
      // What is left as it is now does no harm; what was freed until now stays free.
      if (!done && done.error().code == Code::kNoSpace) {
        report_.failures.push_back(fmt::format("packs stay half dead: {}", done.error().message));
        return {};
      }
      const bool is_damaged = moved.damaged_pack && damaged_.insert(*moved.damaged_pack).second;
      if (is_damaged) {
        report_.unmovable.push_back(done.error().message);
        continue;
      }
      CAIRN_CHECK(done);
      if (moved.changes == 0) {
        ++vain_moves;
        continue;
      }
      count_moved(plan, moved.written_bytes);
      left -= std::min(left, moved.written_bytes);
      CAIRN_CHECK(reclaim_unneeded());
      // What is left of a limit is left alone, as the dry run does.
      if (!plan.is_cut() || is_at_limit_) return {};
    }
    return {};
  }

  /// The most that `limits` let through, written metadata included.
  Result<MovePlan> plan_within(const Survey& survey, const MoveScope& scope, MoveLimits limits) {
    uint64_t least = UINT64_MAX;  // that was too much
    for (const uint64_t allowed = limits.bytes_max;;) {
      CAIRN_TRY(MovePlan plan, plan_move(store_, scope, limits));
      uint64_t chosen_bytes = 0;
      for (const Candidate& victim : plan.victims) chosen_bytes += victim.needed_bytes;
      // What moves leaves holes in metadata packs, which may then be worth moving too.
      for (bool grows = !plan.is_empty(); grows;) {
        CAIRN_TRY(const MoveMeasure measured, measure_move(store_, survey, plan));
        planned_bytes_ = measured.written_bytes;
        note_vacated(survey, scope.protect, measured.kept, plan);
        grows = add_half_dead_metas(survey.files, measured.kept, scope.protect, limits, plan);
      }
      const bool fits = plan.is_empty() || planned_bytes_ <= allowed;
      if (plan.is_empty() && least != UINT64_MAX) plan.smallest_left = least;
      if (fits) return plan;
      least = std::min(least, planned_bytes_);
      // Metadata comes on top of what was chosen.
      limits.bytes_max = chosen_bytes - std::min(chosen_bytes, planned_bytes_ - allowed);
    }
  }

  /// As plan_within, and frees something: fewer files are worth some work and no room. A table is
  /// worth some.
  Result<MovePlan> plan_gainful(const Survey& survey, const MoveScope& scope, MoveLimits limits) {
    CAIRN_TRY(MovePlan plan, plan_within(survey, scope, limits));
    if (plan.is_empty() || gain(plan) > 0) return plan;
    limits.merges = false;
    CAIRN_TRY(plan, plan_within(survey, scope, limits));
    if (!plan.is_empty() && !plan.mends() && gain(plan) <= 0) plan.victims.clear();
    return plan;
  }

  /// What the plan frees when it is carried out and reclaimed.
  int64_t gain(const MovePlan& plan) const {
    uint64_t freed = plan.victim_bytes();
    for (const StoredFile& file : vacated_) freed += file.bytes;
    return static_cast<int64_t>(freed) - static_cast<int64_t>(planned_bytes_);
  }

  Result<MovePlan> plan_moves(const Survey& survey, uint64_t bytes_max, uint64_t more_free_bytes) {
    NeededCopies needed(store_);
    CAIRN_CHECK(needed.add_tags(survey.list, survey.book));
    FileMarks leased(store_);
    for (const FoundLease& found : survey.leases) CAIRN_CHECK(leased.mark_lease(found));
    CAIRN_TRY(const LostTables lost, find_lost_tables(store_, survey, leased, request_.threads));
    const MoveScope scope{survey.files, needed, leased, damaged_, lost};
    CAIRN_TRY(const uint64_t free, store_.fs().free_bytes(store_.path()));
    MoveLimits limits = request_.move;
    limits.small_pack_bytes = std::min(kSmallFileBytes, store_.pack_bytes() / 2);
    limits.bytes_max = std::min(bytes_max, usable_bytes(free + more_free_bytes));
    CAIRN_TRY(MovePlan plan, plan_gainful(survey, scope, limits));
    if (plan.is_empty() && plan.is_cut()) {
      // Perhaps nothing is left that is worth its room.
      MoveLimits without_limit = limits;
      without_limit.bytes_max = kMovedAtOnce;
      CAIRN_TRY(const MovePlan whole, plan_gainful(survey, scope, without_limit));
      if (whole.is_empty()) plan.smallest_left = UINT64_MAX;
    }
    note_left(plan, limits.bytes_max, bytes_max);
    report_.unmovable.insert(report_.unmovable.end(), plan.unmovable.begin(), plan.unmovable.end());
    // Each is reported once, however many rounds there are.
    damaged_.insert(plan.unmovable_packs.begin(), plan.unmovable_packs.end());
    return plan;
  }

  /// Why the plan leaves out what it does.
  void note_left(const MovePlan& plan, uint64_t allowed, uint64_t bytes_max) {
    report_.is_cut = plan.is_cut();
    report_.needed_limit.reset();
    is_at_limit_ = false;
    if (!plan.is_cut()) return;
    const bool lacks_room = allowed < bytes_max;
    if (lacks_room && plan.is_empty()) {
      report_.failures.push_back(
          fmt::format("packs stay half dead: writing them anew needs room for {} bytes, and {} can "
                      "be used",
                      plan.smallest_left, allowed));
    }
    // Where only the rest of the limit is too small, another run has all of it.
    is_at_limit_ = !lacks_room && bytes_max == request_.move.bytes_max;
    if (!is_at_limit_ || plan.smallest_left <= allowed) return;
    report_.is_cut = false;
    report_.needed_limit = plan.smallest_left;
  }

  /// Metadata packs that the plan leaves needless without writing them anew: of locator tables and
  /// tag tables that all have successors.
  void note_vacated(const Survey& survey, const FileMarks& leased, const NeededObjects& kept,
                    const MovePlan& plan) {
    std::set<FileId> victims;
    for (const Candidate& victim : plan.victims) {
      // A session's data packs have the same numbers.
      if (victim.file.kind == FileKind::kMeta) victims.insert(victim.file.file);
    }
    vacated_.clear();
    for (const StoredFile& file : survey.files) {
      if (file.kind != FileKind::kMeta || victims.contains(file.file)) continue;
      if (!survey.marks.is_needed(file) || leased.is_needed(file)) continue;
      if (kept.needed_bytes(file.file) == 0) vacated_.push_back(file);
    }
  }

  Status move(const Survey& survey, const MovePlan& plan, Moved& moved) {
    const MoveRequest how{request_.reclaim.wait, request_.threads, request_.progress,
                          request_.reclaim.stop};
    return move_copies(store_, survey, plan, how, moved);
  }

  void count_moved(const MovePlan& plan, uint64_t written_bytes) {
    for (const Candidate& victim : plan.victims) {
      const bool is_pack = victim.file.kind == FileKind::kPack;
      ++(is_pack ? report_.packs_rewritten : report_.metas_rewritten);
      left_files_.insert({victim.file.kind, victim.file.file});
    }
    report_.moved_bytes += written_bytes;
    report_.freed_bytes -= static_cast<int64_t>(written_bytes);
    report_.chunks_removed -= static_cast<int64_t>(plan.moved_copies() - plan.untold_copies);
  }

  void count_deleted(const Reclaimed& reclaimed) {
    for (const StoredFile& file : reclaimed.deleted) {
      report_.freed_bytes += static_cast<int64_t>(file.bytes);
      if (left_files_.contains({file.kind, file.file})) continue;  // counted as rewritten
      ++(file.kind == FileKind::kPack ? report_.packs_deleted : report_.metas_deleted);
    }
    report_.chunks_removed += static_cast<int64_t>(reclaimed.copies);
  }

  const Store& store_;
  const GcRequest& request_;
  GcReport report_;
  std::optional<std::string> not_rebased_;            // why the rebase came to nothing
  uint64_t planned_bytes_ = 0;                        // that the latest plan will write
  bool is_at_limit_ = false;                          // the latest plan, and not for want of room
  std::vector<StoredFile> vacated_;                   // by the latest plan
  std::set<FileId> damaged_;                          // data packs that cannot be moved
  std::set<std::pair<FileKind, FileId>> left_files_;  // victims, which wait for their deletion
};

}  // namespace

Status check_may_collect_in(const Store& store) {
  CAIRN_CHECK(check_place_is_written(store.fs(), store.path()));
  CAIRN_CHECK(check_may_collect(store.config()));
  return refuse_linked_folders(store);
}

Result<GcReport> plan_collection(const Store& store, const GcRequest& request) {
  CAIRN_CHECK(check_may_collect_in(store));
  // Beside a collection files go while they are looked at: as long as the root changes, once more.
  for (int attempt = 1;; ++attempt) {
    CAIRN_TRY(const Root before, read_root(store.fs(), store.path()));
    auto report = Collection(store, request).plan();
    const bool may_be_stale = !report || !report->unmovable.empty();
    if (!may_be_stale || attempt == kPlansMax) return report;
    CAIRN_TRY(const Root after, read_root(store.fs(), store.path()));
    if (after.commit == before.commit) return report;
  }
}

Result<GcReport> collect(const Store& store, const GcRequest& request) {
  CAIRN_CHECK(check_may_collect_in(store));
  // Two at once would do no harm, only the same work twice: where there are no locks they may.
  std::unique_ptr<FileLock> lock;
  if (store.fs().conditional() == nullptr) {
    CAIRN_TRY(lock, store.fs().lock(join_path(store.path(), "gc.lock"), request.reclaim.wait));
  }
  auto collected = Collection(store, request).run();
  const bool is_beside_another =
      lock == nullptr && !collected && collected.error().code == Code::kNotFound;
  if (is_beside_another) {
    return fail(
        Code::kBusy,
        fmt::format("another collection of '{}' has taken what this one was about to move: {}",
                    store.path(), collected.error().message),
        "nothing is lost: collect again");
  }
  return collected;
}

}  // namespace cairn
