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
    std::vector<TagEntry> found;
    for (const TagEntry& tag : tags) {
      CAIRN_TRY(const TagEntry* standing, book.find(tag.name));
      if (standing == nullptr) continue;
      // Thinning keeps the number of the commit, a move by gc the manifest.
      if (standing->commit != tag.commit || standing->manifest.digest != tag.manifest.digest) {
        return fail(Code::kBusy, fmt::format("the tag '{}' was changed meanwhile", tag.name),
                    "look at it again before you forget it");
      }
      if (!allow_pinned) CAIRN_CHECK(refuse_pinned(*standing));
      found.push_back(*standing);
      book.remove(tag.name);
    }
    // None any more: by a change whose answer was lost, if there was one.
    if (found.empty()) return RootChange::kKeep;
    removed = std::move(found);
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

Result<std::vector<TagEntry>> pin_tags(const Store& store, const std::vector<std::string>& names,
                                       bool pinned, const Wait& wait) {
  std::vector<TagEntry> pins;
  const auto edit = [&](Root& root, TagBook& tags) -> Result<RootChange> {
    pins.clear();
    bool changes = false;
    for (const std::string& name : names) {
      CAIRN_TRY(const TagEntry* standing, tags.find(name));
      if (standing == nullptr) {
        return fail(Code::kNotFound,
                    fmt::format("there is no tag '{}' in '{}'", name, store.path()),
                    "'cairn ls' lists the tags");
      }
      TagEntry& entry = pins.emplace_back(*standing);
      if (entry.pinned == pinned) continue;
      entry.pinned = pinned;
      tags.put(entry);
      changes = true;
    }
    if (!changes) return RootChange::kKeep;
    ++root.commit;  // a change of the root, and none of the tags: they become no newer
    return RootChange::kReplace;
  };
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  ChangeOutcome outcome;
  CAIRN_CHECK(change_tags(store, writer, wait, edit, outcome));
  return pins;
}

Result<TagEntry> pin_tag(const Store& store, const std::string& name, bool pinned,
                         const Wait& wait) {
  CAIRN_TRY(const auto pins, pin_tags(store, {name}, pinned, wait));
  return pins.front();
}

}  // namespace cairn
