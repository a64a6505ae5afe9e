#include "lib/find_tag.h"

#include <fmt/format.h>

#include "base/suggest.h"

namespace cairn {

static constexpr std::string_view kNewest = "@newest";

static Result<TagEntry> find_among(TagBook& tags, std::string_view text) {
  const std::string wanted(text);
  if (wanted == kNewest || wanted.ends_with("/" + std::string(kNewest))) {
    const std::string prefix = wanted.substr(0, wanted.size() - kNewest.size());
    CAIRN_TRY(const TagEntry* newest, tags.newest(prefix));
    if (newest != nullptr) return *newest;
    if (prefix.empty()) {
      return fail(Code::kNotFound, "there are no tags yet", "'cairn import TAG FILE' makes one");
    }
    return fail(Code::kNotFound, fmt::format("there is no tag below '{}'", prefix),
                "'cairn ls' lists the tags");
  }
  CAIRN_TRY(const TagEntry* tag, tags.find(wanted));
  if (tag != nullptr) return *tag;
  CAIRN_TRY(const TagList all, tags.list());
  std::vector<std::string> names;
  for (const TagEntry& each : all.tags) names.push_back(each.name);
  std::string hint = did_you_mean(wanted, names, "");
  if (hint.empty()) hint = "'cairn ls' lists the tags";
  return fail(Code::kNotFound, fmt::format("there is no tag '{}'", wanted), hint);
}

Result<TagEntry> find_tag(const Store& store, std::string_view text) {
  return store.ask_tags([&](TagBook& tags) { return find_among(tags, text); });
}

}  // namespace cairn
