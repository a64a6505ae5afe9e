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
static Status fold_entries(const Store& store, Root& root, const SessionId& writer,
                           std::optional<FileId>& folded) {
  if (root.entries.size() <= kRootEntriesMax) return {};
  CAIRN_TRY(const TagList list, store.tags_of(root));
  // Two commits of one session (an import and its repetition) must not share a file name.
  CAIRN_TRY(SessionId name, SessionId::fresh());
  std::copy(writer.bytes.begin(), writer.bytes.begin() + 8, name.bytes.begin());
  MetaWriter writer_of_table(store.fs(), store.path(), name);
  const Bytes table = encode_tag_table(list.tags);
  folded = FileId{name, 0};
  CAIRN_TRY(const Reference reference, writer_of_table.add(ObjectKind::kTagTable, table));
  CAIRN_CHECK(writer_of_table.finish());
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

Result<CommitResult> commit_tag(const Store& store, const TagEntry& wanted, IfExists if_exists,
                                const std::vector<FileId>& reused_packs,
                                std::chrono::milliseconds wait, CommitFailure& failure) {
  CommitResult result{wanted, false};
  std::optional<TagEntry> standing;
  std::optional<FileId> folded;
  const auto change = [&](Root& root) -> Status {
    CAIRN_TRY(const TagList list, store.tags_of(root));
    if (const TagEntry* tag = list.find(wanted.name)) standing = *tag;
    if (standing && standing->session == wanted.session) return fail(Code::kExists, "");
    CAIRN_CHECK(check_not_revoked(root, wanted.session));
    if (standing && if_exists != IfExists::kReplace) {
      return fail(Code::kExists, fmt::format("the tag '{}' exists already", wanted.name),
                  "choose another name, or '--if-exists replace'");
    }
    const Status reused = check_reused(store, root, reused_packs);
    failure.lost_reused = !reused;
    CAIRN_CHECK(reused);
    result.entry.commit = ++root.commit;
    result.entry.pinned = standing && standing->pinned;
    put_entry(root, result.entry);
    return fold_entries(store, root, wanted.session, folded);
  };
  const Status changed =
      change_root(store.fs(), store.path(), wanted.session, wait, change, failure.may_be_visible);
  if (changed) return result;
  if (!failure.may_be_visible) remove_table(store, folded);
  const bool repeated = standing && standing->session == wanted.session;
  const bool same = standing && if_exists == IfExists::kSame &&
                    standing->manifest.digest == wanted.manifest.digest;
  if (changed.error().code == Code::kExists && (repeated || same)) {
    // Whoever put it there may have died before step 6 of change_root.
    CAIRN_CHECK(store.fs().sync_folder(store.path()));
    return CommitResult{*standing, true};
  }
  return tl::unexpected(changed.error());
}

Result<TagEntry> fork_tag(const Store& store, const std::string& new_name, const std::string& name,
                          std::chrono::milliseconds wait) {
  CAIRN_CHECK(check_tag_name(new_name));
  TagEntry forked;
  bool already = false;
  std::optional<FileId> folded;
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  const auto change = [&](Root& root) -> Status {
    CAIRN_TRY(const TagList list, store.tags_of(root));
    const TagEntry* source = list.find(name);
    if (source == nullptr) {
      return fail(Code::kNotFound, fmt::format("there is no tag '{}' in '{}'", name, store.path()),
                  "'cairn ls' lists the tags");
    }
    if (const TagEntry* standing = list.find(new_name)) {
      already = standing->manifest.digest == source->manifest.digest;
      forked = *standing;
      return fail(Code::kExists, fmt::format("the tag '{}' exists already", new_name));
    }
    forked = *source;
    forked.name = new_name;
    forked.pinned = false;
    forked.commit = ++root.commit;
    put_entry(root, forked);
    return fold_entries(store, root, writer, folded);
  };
  bool may_be_visible = false;
  const Status changed =
      change_root(store.fs(), store.path(), writer, wait, change, may_be_visible);
  if (!changed && !may_be_visible) remove_table(store, folded);
  if (!changed && !already) return tl::unexpected(changed.error());
  if (already) CAIRN_CHECK(store.fs().sync_folder(store.path()));
  return forked;
}

}  // namespace cairn
