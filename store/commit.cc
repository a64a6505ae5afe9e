#include "store/commit.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/meta_pack.h"
#include "store/tag_name.h"

namespace cairn {

/// Beyond this many entries the root's own list moves into a tag table, so that a commit rewrites
/// at most about 300 KB however many tags there are.
static constexpr size_t kRootEntriesMax = 640;

static Status check_not_revoked(const Root& root, const SessionId& session) {
  if (std::find(root.revoked.begin(), root.revoked.end(), session) == root.revoked.end()) return {};
  return fail(Code::kBusy, fmt::format("session {} was declared dead by a gc", session.hex()),
              "save again");
}

/// Packs found by a look-up are protected by no lease: look at each under the lock, whatever the
/// epoch says, since the index they came from may have lagged.
static Status check_reused(const Store& store, const Root& root,
                           const std::vector<FileId>& reused_packs) {
  for (const FileId& pack : reused_packs) {
    const bool condemned = std::any_of(
        root.condemned.begin(), root.condemned.end(),
        [&](const Condemned& item) { return item.kind == FileKind::kPack && item.file == pack; });
    const std::string path = relative_path(FileKind::kPack, pack);
    if (condemned || !file_exists(store.fs(), join_path(store.path(), path))) {
      return fail(Code::kBusy, fmt::format("'{}' was collected meanwhile", path), "save again");
    }
  }
  return {};
}

/// Moves the entries into one new tag table when there are too many of them. `folded`: its file,
/// which nobody needs when the root cannot be replaced.
static Status fold_entries(const Store& store, Root& root, std::optional<FileId>& folded) {
  if (root.entries.size() <= kRootEntriesMax) return {};
  CAIRN_TRY(const TagList list, store.tags_of(root));
  // A session of its own: two commits of one session must not share a file name.
  CAIRN_TRY(const SessionId session, SessionId::fresh());
  MetaWriter writer(store.fs(), store.path(), session);
  const Bytes table = encode_tag_table(list.tags);
  folded = FileId{session, 0};
  CAIRN_TRY(const Reference reference, writer.add(ObjectKind::kTagTable, table));
  CAIRN_CHECK(writer.finish());
  root.tables = {{reference, list.tags.size()}};
  root.entries.clear();
  return {};
}

static void remove_table(const Store& store, const std::optional<FileId>& folded) {
  if (!folded) return;
  const std::string path = join_path(store.path(), relative_path(FileKind::kMeta, *folded));
  if (file_exists(store.fs(), path)) (void)store.fs().remove(path).has_value();
}

/// Puts the entry into the root in place of any other of its name.
static void put_entry(Root& root, const TagEntry& entry) {
  std::erase_if(root.entries, [&](const TagEntry& other) { return other.name == entry.name; });
  root.entries.push_back(entry);
}

/// Whether the save is done: it was committed before, or the same checkpoint was, by someone else.
static bool is_there_already(const TagEntry& standing, const TagEntry& wanted, IfExists if_exists) {
  return standing.session == wanted.session ||
         (if_exists == IfExists::kSame && standing.manifest.digest == wanted.manifest.digest);
}

Result<CommitResult> commit_tag(const Store& store, const TagEntry& wanted, IfExists if_exists,
                                const std::vector<FileId>& reused_packs,
                                std::chrono::milliseconds wait, CommitFailure& failure) {
  CommitResult result{wanted, false};
  std::optional<FileId> folded;
  const auto change = [&](Root& root) -> Result<RootChange> {
    CAIRN_TRY(const TagList list, store.tags_of(root));
    const TagEntry* standing = list.find(wanted.name);
    if (standing != nullptr && is_there_already(*standing, wanted, if_exists)) {
      result = {*standing, true};
      return RootChange::kKeep;
    }
    CAIRN_CHECK(check_not_revoked(root, wanted.session));
    if (standing != nullptr && if_exists != IfExists::kReplace) {
      return fail(Code::kExists, fmt::format("the tag '{}' exists already", wanted.name),
                  "choose another name, or '--if-exists replace'");
    }
    const Status reused = check_reused(store, root, reused_packs);
    failure.lost_reused = !reused;
    CAIRN_CHECK(reused);
    result.entry.commit = ++root.commit;
    result.entry.pinned = standing != nullptr && standing->pinned;
    put_entry(root, result.entry);
    CAIRN_CHECK(fold_entries(store, root, folded));
    return RootChange::kReplace;
  };
  const Status changed =
      change_root(store.fs(), store.path(), wanted.session, wait, change, failure.may_be_visible);
  if (!changed && !failure.may_be_visible) remove_table(store, folded);
  CAIRN_CHECK(changed);
  return result;
}

Result<TagEntry> fork_tag(const Store& store, const std::string& new_name, const std::string& name,
                          std::chrono::milliseconds wait) {
  CAIRN_CHECK(check_tag_name(new_name));
  TagEntry forked;
  std::optional<FileId> folded;
  const auto change = [&](Root& root) -> Result<RootChange> {
    CAIRN_TRY(const TagList list, store.tags_of(root));
    const TagEntry* source = list.find(name);
    if (source == nullptr) {
      return fail(Code::kNotFound, fmt::format("there is no tag '{}' in '{}'", name, store.path()),
                  "'cairn ls' lists the tags");
    }
    if (const TagEntry* standing = list.find(new_name)) {
      forked = *standing;
      if (standing->manifest.digest == source->manifest.digest) return RootChange::kKeep;
      return fail(Code::kExists, fmt::format("the tag '{}' exists already", new_name));
    }
    forked = *source;
    forked.name = new_name;
    forked.pinned = false;
    forked.commit = ++root.commit;
    put_entry(root, forked);
    CAIRN_CHECK(fold_entries(store, root, folded));
    return RootChange::kReplace;
  };
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  bool may_be_visible = false;
  const Status changed =
      change_root(store.fs(), store.path(), writer, wait, change, may_be_visible);
  if (!changed && !may_be_visible) remove_table(store, folded);
  CAIRN_CHECK(changed);
  return forked;
}

}  // namespace cairn
