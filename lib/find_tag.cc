#include "lib/find_tag.h"

#include <fmt/format.h>

#include "base/suggest.h"

namespace cairn {

static constexpr std::string_view kNewest = "@newest";

static Result<TagEntry> find_among(TagBook& tags, std::string_view text, const Store& store) {
  const std::string list = store.fs().read_habits().is_remote
                               ? fmt::format("'cairn -s {} ls' lists the tags", store.path())
                               : "'cairn ls' lists the tags";
  const std::string wanted(text);
  if (wanted == kNewest || wanted.ends_with("/" + std::string(kNewest))) {
    const std::string prefix = wanted.substr(0, wanted.size() - kNewest.size());
    CAIRN_TRY(const TagEntry* newest, tags.newest(prefix));
    if (newest != nullptr) return *newest;
    if (prefix.empty()) {
      return fail(Code::kNotFound, "there are no tags yet", "'cairn import TAG FILE' makes one");
    }
    return fail(Code::kNotFound, fmt::format("there is no tag below '{}'", prefix), list);
  }
  CAIRN_TRY(const TagEntry* tag, tags.find(wanted));
  if (tag != nullptr) return *tag;
  CAIRN_TRY(const TagList all, tags.list());
  std::vector<std::string> names;
  for (const TagEntry& each : all.tags) names.push_back(each.name);
  const std::string meant = did_you_mean(wanted, names, "");
  return fail(Code::kNotFound, fmt::format("there is no tag '{}'", wanted),
              meant.empty() ? list : meant);
}

Result<TagEntry> find_tag(const Store& store, std::string_view text) {
  return store.ask_tags([&](TagBook& tags) { return find_among(tags, text, store); });
}

}  // namespace cairn
