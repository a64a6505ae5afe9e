#include "store/tag_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "store/meta_pack.h"

namespace cairn {

/// Beyond this many entries the root's own list moves into a tag table, so that a commit rewrites
/// at most about 300 KB however many tags there are.
static constexpr size_t kRootEntriesMax = 640;

void put_tag(Root& root, const TagEntry& entry) {
  std::erase_if(root.entries, [&](const TagEntry& other) { return other.name == entry.name; });
  root.entries.push_back(entry);
}

void remove_tag(Root& root, const std::string& name) {
  std::erase_if(root.entries, [&](const TagEntry& other) { return other.name == name; });
  if (root.tables.empty()) return;
  TagEntry tombstone;
  tombstone.name = name;
  tombstone.removed = true;
  root.entries.push_back(std::move(tombstone));
}

Status check_not_revoked(const Root& root, const SessionId& session) {
  if (std::find(root.revoked.begin(), root.revoked.end(), session) == root.revoked.end()) return {};
  return fail(Code::kBusy, fmt::format("session {} was declared dead by a gc", session.hex()),
              "do it again");
}

static void remove_table(const Store& store, const std::optional<FileId>& folded) {
  if (!folded) return;
  const std::string path = join_path(store.path(), relative_path(FileKind::kMeta, *folded));
  if (file_exists(store.fs(), path)) (void)store.fs().remove(path).has_value();
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
  const Status written = writer.finish();
  // On a full disk a longer root is the lesser evil: what frees space must not need much of it.
  if (!written && written.error().code == Code::kNoSpace) {
    remove_table(store, folded);
    folded.reset();
    return {};
  }
  CAIRN_CHECK(written);
  root.tables = {{reference, list.tags.size()}};
  root.entries.clear();
  return {};
}

Status change_tags(const Store& store, const SessionId& writer, std::chrono::milliseconds wait,
                   const std::function<Result<RootChange>(Root&, const TagList&)>& edit,
                   bool& may_be_visible) {
  std::optional<FileId> folded;
  const auto change = [&](Root& root) -> Result<RootChange> {
    CAIRN_TRY(const TagList list, store.tags_of(root));
    CAIRN_TRY(const RootChange wanted, edit(root, list));
    if (wanted == RootChange::kReplace) CAIRN_CHECK(fold_entries(store, root, folded));
    return wanted;
  };
  const Status changed =
      change_root(store.fs(), store.path(), writer, wait, change, may_be_visible);
  if (!changed && !may_be_visible) remove_table(store, folded);
  return changed;
}

}  // namespace cairn
