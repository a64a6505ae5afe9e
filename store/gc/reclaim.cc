// A collection, in order (docs/PROTOCOL.md, section 5, says what holds when it ends between two):
//   G1 mark      without the lock: what tags, tag tables, live sessions and their bases need
//   G2 revoke    sessions taken for dead may not commit any more; then their leases go
//   G3 condemn   under the lock: mark what is new since G1; the rest goes on the list in `root`;
//                revocations of sessions whose leases are gone come off theirs
//   G4 sync      the list is durable before anything is deleted
//   G5 grace     readers of other hosts finish
//   G6 index     look-ups stop finding what goes
//   G7 delete    the files on the list
//   G8 done      the list loses those that are gone
#include "store/gc/reclaim.h"
#include "store/arrivals.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "store/ballast.h"
#include "store/meetings.h"
#include "store/meta_pack.h"
#include "store/pack_table.h"
#include "store/read_jobs.h"
#include "store/root.h"
#include "store/session.h"

namespace cairn {
namespace {

using FileName = std::pair<FileKind, FileId>;

/// Longer than a tag table is on its way.
constexpr std::chrono::nanoseconds kTableWriting = std::chrono::hours(1);

class Reclaim {
 public:
  Reclaim(const Store& store, const ReclaimRequest& request) : store_(store), request_(request) {}

  Result<Reclaimed> run() {
    CAIRN_TRY(Survey survey, survey_store(store_));
    CAIRN_CHECK(revoke(survey.leases));
    CAIRN_CHECK(condemn(survey));
    drop_unfinished(survey);
    if (doomed_.empty()) return std::move(done_);
    CAIRN_CHECK(wait_for_readers());
    if (request_.before_delete) request_.before_delete(doomed_packs());
    const Status deleted = delete_files(survey.files);
    CAIRN_CHECK(clear_list());
    CAIRN_CHECK(deleted);
    return std::move(done_);
  }

 private:
  Status change(const std::function<Result<RootChange>(Root&)>& edit) {
    CAIRN_TRY(const SessionId writer, SessionId::fresh());
    return with_ballast(store_, [&]() -> Status {
      bool may_be_visible = false;
      return change_root(store_.fs(), store_.path(), writer, request_.wait, edit, may_be_visible);
    });
  }

  Status revoke(const std::vector<FoundLease>& leases) {
    std::vector<SessionId> silent;
    for (const FoundLease& found : leases) {
      if (found.life == Life::kSilent) silent.push_back(found.session);
    }
    if (!silent.empty()) {
      CAIRN_CHECK(change([&](Root& root) -> Result<RootChange> {
        std::set<SessionId> revoked(root.revoked.begin(), root.revoked.end());
        revoked.insert(silent.begin(), silent.end());
        if (revoked.size() == root.revoked.size()) return RootChange::kKeep;
        root.revoked.assign(revoked.begin(), revoked.end());
        ++root.commit;
        return RootChange::kReplace;
      }));
    }
    for (const FoundLease& found : leases) {
      if (found.life == Life::kAlive) continue;
      const std::string path = lease_path(store_.path(), found.session);
      note_failure(store_.fs().remove(path), path);
    }
    return {};
  }

  /// Nothing is deleted that is not on the list of a durable root.
  Status condemn(Survey& survey) {
    return change([&](Root& root) -> Result<RootChange> {
      CAIRN_CHECK(mark_again(root, survey));
      CAIRN_CHECK(remove_temporaries());
      const size_t known = root.condemned.size(), revoked = root.revoked.size();
      CAIRN_CHECK(settle_revocations(root));
      std::set<FileName> listed;
      for (const Condemned& item : root.condemned) listed.insert({item.kind, item.file});
      for (const StoredFile& file : survey.files) {
        if (survey.marks.is_needed(file) || listed.contains({file.kind, file.file})) continue;
        root.condemned.push_back({file.kind, file.file, root.epoch + 1});
      }
      doomed_ = root.condemned;
      if (root.condemned.size() == known && root.revoked.size() == revoked) {
        return RootChange::kKeep;
      }
      if (root.condemned.size() != known) ++root.epoch;
      ++root.commit;
      return RootChange::kReplace;
    });
  }

  /// Under the lock: tags and leases that were not there when the mark was made. First the tags of
  /// this root, then the leases: a base that is in neither is found gone by its session. Of a tag
  /// table that was there, no more tags can be visible now than then.
  Status mark_again(const Root& root, Survey& survey) {
    std::set<Digest> seen;
    for (const TagTableRef& table : survey.book.tables()) seen.insert(table.table.digest);
    TagBook book(store_.meta_files(), root);
    CAIRN_TRY(const TagList list, book.list(seen));
    FileMarks& marks = survey.marks;
    for (const TagEntry& tag : list.tags) CAIRN_CHECK(marks.mark_tag(tag));
    marks.mark_tables(root.tables);
    CAIRN_TRY(const int64_t now, file_system_now(store_));
    CAIRN_TRY(const auto leases, list_leases(store_, now));
    for (const FoundLease& found : leases) CAIRN_CHECK(marks.mark_lease(found));
    return {};
  }

  /// A session whose lease is gone for good cannot commit, and needs no mention any more.
  Status settle_revocations(Root& root) const {
    if (root.revoked.empty()) return {};
    const Status synced = store_.fs().sync_folder(join_path(store_.path(), "sessions"));
    if (!synced && synced.error().code != Code::kNotFound) return synced;
    std::erase_if(root.revoked, [&](const SessionId& session) {
      const auto lease = store_.fs().info(lease_path(store_.path(), session));
      return !lease && lease.error().code == Code::kNotFound;
    });
    return {};
  }

  /// Roots that were never put in place, whose writer would hold the lock, which is held here; and
  /// leases that were never named, whose writer dies or writes another one.
  Status remove_temporaries() {
    CAIRN_TRY(const int64_t now, file_system_now(store_));
    for (std::string& each : remove_old_meetings(store_, now)) {
      done_.failures.push_back(std::move(each));
    }
    for (std::string& each : remove_old_arrivals(store_)) {
      done_.failures.push_back(std::move(each));
    }
    const std::string sessions = join_path(store_.path(), "sessions");
    const auto leases = store_.fs().list(sessions);
    const bool has_none = !leases && leases.error().code == Code::kNotFound;
    if (!leases && !has_none) return tl::unexpected(leases.error());
    for (const FolderEntry& entry : has_none ? std::vector<FolderEntry>() : *leases) {
      const std::string path = join_path(sessions, entry.name);
      if (!entry.is_file || !entry.name.ends_with(kUnnamedLease)) continue;
      const auto is_alive = store_.fs().is_marked_alive(path);
      if (is_alive && !*is_alive) note_failure(store_.fs().remove(path), path);
    }
    // Where files appear whole there are none, and a listing is one of the whole store.
    if (is_bucket()) return {};
    CAIRN_TRY(const auto entries, store_.fs().list(store_.path()));
    for (const FolderEntry& entry : entries) {
      constexpr std::string_view kPrefix = "root.";
      if (!entry.is_file || !entry.name.starts_with(kPrefix)) continue;
      if (!SessionId::parse(entry.name.substr(kPrefix.size()))) continue;
      const std::string path = join_path(store_.path(), entry.name);
      note_failure(store_.fs().remove(path), path);
    }
    return {};
  }

  /// What no session is left to finish. They were listed before the leases, and a session has its
  /// lease before it writes: what has none by then is nobody's. Only who changes tags writes tag
  /// tables without one: those that are long may be on their way for a while.
  void drop_unfinished(const Survey& survey) {
    std::map<SessionId, Life> lives;
    for (const FoundLease& found : survey.leases) lives[found.session] = found.life;
    for (const UnfinishedFile& each : survey.unfinished) {
      const auto file = FileId::parse(each.path.substr(each.path.rfind('/') + 1));
      if (!file) continue;
      const auto life = lives.find(file->session);
      const bool is_fresh = each.begun_ns > survey.now_ns - kTableWriting.count();
      const bool may_be_tables = life == lives.end() && is_fresh && !is_pack(each);
      if (may_be_tables || (life != lives.end() && life->second == Life::kAlive)) continue;
      note_failure(store_.fs().conditional()->drop(each), each.path);
    }
  }

  bool is_pack(const UnfinishedFile& file) const {
    return file.path.starts_with(join_path(store_.path(), "packs/"));
  }

  bool is_bucket() const { return store_.fs().conditional() != nullptr; }
  unsigned threads() const { return asking_threads(store_.fs().read_habits()); }

  Status wait_for_readers() const {
    const auto grace =
        request_.reader_grace.value_or(is_bucket() ? kBucketGrace : std::chrono::seconds(0));
    const auto end = std::chrono::steady_clock::now() + grace;
    while (std::chrono::steady_clock::now() < end) {
      CAIRN_CHECK(not_stopped());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return not_stopped();
  }

  Status not_stopped() const {
    if (!is_stopped(request_.stop)) return {};
    return fail(Code::kCancelled, "the collection was stopped; the next one goes on from here");
  }

  std::vector<FileId> doomed_packs() const {
    std::vector<FileId> packs;
    for (const Condemned& item : doomed_) {
      if (item.kind == FileKind::kPack) packs.push_back(item.file);
    }
    return packs;
  }

  Status delete_files(const std::vector<StoredFile>& files) {
    std::map<FileName, StoredFile> there;
    for (const StoredFile& file : files) there[{file.kind, file.file}] = file;
    const Status deleted = parallel_for(doomed_.size(), threads(), [&](uint64_t index) -> Status {
      CAIRN_CHECK(not_stopped());
      const Condemned& item = doomed_[index];
      const auto file = there.find({item.kind, item.file});
      // Else an earlier collection deleted it.
      if (file != there.end()) delete_file(file->second);
      return {};
    });
    CAIRN_CHECK(deleted);
    // Folders that others fill at the same time stay, and so does what only leads to a folder.
    std::set<std::string> folders;
    for (const Condemned& item : doomed_) folders.insert(parent_folder(path_of(item)));
    for (const std::string& folder : folders) (void)store_.fs().remove(folder + "/").has_value();
    return {};
  }

  std::string path_of(const Condemned& item) const {
    return join_path(store_.path(), relative_path(item.kind, item.file));
  }

  void delete_file(const StoredFile& file) {
    const std::string path = join_path(store_.path(), file.path());
    const uint64_t copies = count_copies(store_, file);
    const Status removed = store_.fs().remove(path);
    const std::lock_guard lock(mutex_);
    note_failure(removed, path);
    if (!removed) return;
    done_.deleted.push_back(file);
    done_.copies += copies;
  }

  void note_failure(const Status& removed, const std::string& path) {
    if (removed || removed.error().code == Code::kNotFound) return;
    done_.failures.push_back(fmt::format("'{}': {}", path, removed.error().message));
  }

  /// Those of the list that are there no more.
  Result<std::set<FileName>> find_gone() const {
    std::mutex mutex;
    std::set<FileName> gone;
    CAIRN_CHECK(parallel_for(doomed_.size(), threads(), [&](uint64_t index) -> Status {
      const Condemned& item = doomed_[index];
      const auto info = store_.fs().info(path_of(item));
      if (info || info.error().code != Code::kNotFound) return {};
      const std::lock_guard lock(mutex);
      gone.insert({item.kind, item.file});
      return {};
    }));
    return gone;
  }

  /// Only those of this collection's own list: another may be in the middle of its own.
  Status clear_list() {
    CAIRN_TRY(const std::set<FileName> gone, find_gone());
    return change([&](Root& root) -> Result<RootChange> {
      const size_t known = root.condemned.size();
      std::erase_if(root.condemned, [&](const Condemned& item) {
        return gone.contains({item.kind, item.file});
      });
      if (root.condemned.size() == known) return RootChange::kKeep;
      ++root.commit;
      return RootChange::kReplace;
    });
  }

  const Store& store_;
  const ReclaimRequest& request_;
  std::vector<Condemned> doomed_;  // the list of the root after G3
  std::mutex mutex_;               // of what several threads delete
  Reclaimed done_;
};

}  // namespace

std::vector<StoredFile> Survey::unneeded() const {
  std::vector<StoredFile> unneeded;
  std::copy_if(files.begin(), files.end(), std::back_inserter(unneeded),
               [&](const StoredFile& file) { return !marks.is_needed(file); });
  return unneeded;
}

/// What forgetting the tags will leave of the book, touching no file; `files` gets those that it
/// will make.
static Status forget_in(TagBook& book, const Store& store, const std::set<std::string>& names,
                        std::vector<StoredFile>& files) {
  for (const std::string& name : names) book.remove(name);
  if (names.empty() || !book.wants_fold()) return {};
  CAIRN_TRY(const SessionId nobody, SessionId::fresh());
  MetaWriter writer(store.fs(), store.path(), nobody, MetaWriter::Mode::kMeasure);
  CAIRN_CHECK(book.fold(writer));
  CAIRN_CHECK(writer.finish());
  for (uint32_t number = 0; number < writer.pack_bytes().size(); ++number) {
    files.push_back({FileKind::kMeta, {nobody, number}, writer.pack_bytes()[number]});
  }
  return {};
}

static Result<std::vector<UnfinishedFile>> list_unfinished(const Store& store) {
  std::vector<UnfinishedFile> all;
  ConditionalFiles* const files = store.fs().conditional();
  if (files == nullptr) return all;
  for (const char* folder : {"packs", "meta"}) {
    CAIRN_TRY(const auto found, files->unfinished(join_path(store.path(), folder)));
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

Result<Survey> survey_store(const Store& store, const std::set<std::string>& without) {
  // Files first: one that is made after this is in no danger from this collection.
  CAIRN_TRY(auto files, list_files(store));
  CAIRN_TRY(auto unfinished, list_unfinished(store));
  CAIRN_TRY(TagBook book, store.read_book());
  CAIRN_CHECK(forget_in(book, store, without, files));
  Survey survey(store, std::move(book));
  survey.files = std::move(files);
  survey.unfinished = std::move(unfinished);
  CAIRN_TRY(survey.list, survey.book.list());
  CAIRN_TRY(survey.now_ns, file_system_now(store));
  CAIRN_TRY(survey.leases, list_leases(store, survey.now_ns));
  for (const TagEntry& tag : survey.list.tags) CAIRN_CHECK(survey.marks.mark_tag(tag));
  survey.marks.mark_tables(survey.book.tables());
  for (const FoundLease& found : survey.leases) CAIRN_CHECK(survey.marks.mark_lease(found));
  return survey;
}

uint64_t count_copies(const Store& store, const StoredFile& file) {
  if (file.kind != FileKind::kPack) return 0;
  const auto rows = list_copies(store.fs(), store.path(), file.file);
  return rows ? rows->size() : 0;
}

Result<Reclaimed> reclaim(const Store& store, const ReclaimRequest& request) {
  return Reclaim(store, request).run();
}

}  // namespace cairn
