#include "store/forget.h"

#include <fmt/format.h>

#include "store/ballast.h"
#include "store/tag_change.h"

namespace cairn {

Status refuse_pinned(const TagEntry& tag) {
  if (!tag.pinned) return {};
  return fail(Code::kProtected, fmt::format("the tag '{}' is pinned", tag.name),
              "'cairn unpin' it first");
}

Result<std::vector<TagEntry>> forget_tags(const Store& store, const std::vector<TagEntry>& tags,
                                          bool allow_pinned, const Wait& wait) {
  std::vector<TagEntry> removed;
  const auto edit = [&](Root& root, TagBook& book) -> Result<RootChange> {
    for (const TagEntry& tag : tags) {
      CAIRN_TRY(const TagEntry* standing, book.find(tag.name));
      if (standing == nullptr) continue;
      // Thinning keeps the number of the commit, a move by gc the manifest.
      if (standing->commit != tag.commit || standing->manifest.digest != tag.manifest.digest) {
        return fail(Code::kBusy, fmt::format("the tag '{}' was changed meanwhile", tag.name),
                    "look at it again before you forget it");
      }
      if (!allow_pinned) CAIRN_CHECK(refuse_pinned(*standing));
      removed.push_back(*standing);
      book.remove(tag.name);
    }
    if (removed.empty()) return RootChange::kKeep;
    ++root.commit;  // the index follows the root by this number
    return RootChange::kReplace;
  };
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  CAIRN_CHECK(with_ballast(store, [&]() -> Status {
    removed.clear();
    ChangeOutcome outcome;
    return change_tags(store, writer, wait, edit, outcome);
  }));
  return removed;
}

Result<TagEntry> pin_tag(const Store& store, const std::string& name, bool pinned,
                         const Wait& wait) {
  TagEntry entry;
  const auto edit = [&](Root& root, TagBook& tags) -> Result<RootChange> {
    CAIRN_TRY(const TagEntry* standing, tags.find(name));
    if (standing == nullptr) {
      return fail(Code::kNotFound, fmt::format("there is no tag '{}' in '{}'", name, store.path()),
                  "'cairn ls' lists the tags");
    }
    entry = *standing;
    if (standing->pinned == pinned) return RootChange::kKeep;
    entry.pinned = pinned;
    tags.put(entry);
    ++root.commit;  // a change of the root, and none of the tag: it becomes no newer
    return RootChange::kReplace;
  };
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  ChangeOutcome outcome;
  CAIRN_CHECK(change_tags(store, writer, wait, edit, outcome));
  return entry;
}

}  // namespace cairn
