#include "store/commit.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/pipeline.h"
#include "store/distrust.h"
#include "store/read_jobs.h"
#include "store/tag_change.h"
#include "store/tag_name.h"

namespace cairn {

/// Packs found by a look-up are protected by no lease: look at each under the lock, whatever the
/// epoch says, since the index they came from may have lagged.
static Status check_reused(const Store& store, const Root& root,
                           const std::vector<FileId>& reused_packs) {
  if (reused_packs.empty()) return {};
  CAIRN_TRY(const auto distrusted, distrusted_packs(store));
  std::unordered_set<FileId> condemned;
  for (const Condemned& item : root.condemned) {
    if (item.kind == FileKind::kPack) condemned.insert(item.file);
  }
  return parallel_for(
      reused_packs.size(), asking_threads(store.fs().read_habits()), [&](uint64_t i) -> Status {
        const FileId& pack = reused_packs[i];
        const std::string path = relative_path(FileKind::kPack, pack);
        const auto info = store.fs().info(join_path(store.path(), path));
        const bool is_gone = !info && info.error().code == Code::kNotFound;
        if (!info && !is_gone) return tl::unexpected(info.error());
        if (is_gone || condemned.contains(pack)) {
          return fail(Code::kBusy, fmt::format("'{}' was collected meanwhile", path), "save again");
        }
        if (!distrusted.contains(pack)) return {};
        return fail(Code::kBusy, fmt::format("'{}' was found damaged meanwhile", path),
                    "save again");
      });
}

/// Whether the save is done: it was committed before, or the same checkpoint was, by someone else.
static bool is_there_already(const TagEntry& standing, const TagEntry& wanted, IfExists if_exists) {
  return standing.session == wanted.session ||
         (if_exists == IfExists::kSame && standing.manifest.digest == wanted.manifest.digest);
}

Result<CommitResult> commit_tag(const Store& store, const TagEntry& wanted, IfExists if_exists,
                                const std::vector<FileId>& reused_packs, const Wait& wait,
                                CommitFailure& failure) {
  CommitResult result{wanted, false};
  const auto edit = [&](Root& root, TagBook& tags) -> Result<RootChange> {
    CAIRN_TRY(const TagEntry* standing, tags.find(wanted.name));
    if (standing != nullptr && is_there_already(*standing, wanted, if_exists)) {
      result = {*standing, true};
      return RootChange::kKeep;
    }
    CAIRN_CHECK(check_may_commit(store, root, wanted.session));
    if (standing != nullptr && if_exists != IfExists::kReplace) {
      return fail(Code::kExists,
                  fmt::format("the tag '{}' exists already{}", wanted.name,
                              if_exists == IfExists::kSame ? " with another checkpoint" : ""),
                  "choose another name, or '--if-exists replace'");
    }
    const Status reused = check_reused(store, root, reused_packs);
    failure.lost_reused = !reused && reused.error().code == Code::kBusy;
    CAIRN_CHECK(reused);
    result.entry.commit = ++root.commit;
    result.entry.pinned = wanted.pinned || (standing != nullptr && standing->pinned);
    tags.put(result.entry);
    return RootChange::kReplace;
  };
  ChangeOutcome outcome;
  const Status changed = change_tags(store, wanted.session, wait, edit, outcome);
  failure.may_be_visible = outcome.may_be_visible;
  CAIRN_CHECK(changed);
  return result;
}

Result<TagEntry> fork_tag(const Store& store, const std::string& new_name, const std::string& name,
                          const Wait& wait) {
  CAIRN_CHECK(check_tag_name(new_name));
  TagEntry forked;
  const auto edit = [&](Root& root, TagBook& tags) -> Result<RootChange> {
    CAIRN_TRY(const TagEntry* source, tags.find(name));
    if (source == nullptr) {
      return fail(Code::kNotFound, fmt::format("there is no tag '{}' in '{}'", name, store.path()),
                  "'cairn ls' lists the tags");
    }
    CAIRN_TRY(const TagEntry* standing, tags.find(new_name));
    if (standing != nullptr) {
      forked = *standing;
      if (standing->manifest.digest == source->manifest.digest) return RootChange::kKeep;
      return fail(Code::kExists, fmt::format("the tag '{}' exists already", new_name));
    }
    forked = *source;
    forked.name = new_name;
    forked.pinned = false;
    forked.commit = ++root.commit;
    tags.put(forked);
    return RootChange::kReplace;
  };
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  ChangeOutcome outcome;
  CAIRN_CHECK(change_tags(store, writer, wait, edit, outcome));
  return forked;
}

}  // namespace cairn
