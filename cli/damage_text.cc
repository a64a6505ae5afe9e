#include "cli/damage_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "cli/human.h"

namespace cairn {

namespace {

/// One thing that is damaged, and the tags that need it.
struct Finding {
  const Damage* first = nullptr;
  std::vector<std::string> tags;
};

}  // namespace

static std::vector<Finding> group(const std::vector<Damage>& damage) {
  using Key =
      std::tuple<std::string, std::string, std::string, std::optional<uint64_t>, std::string>;
  std::map<Key, size_t> places;
  std::vector<Finding> findings;
  for (const Damage& each : damage) {
    const Key key{each.kind, each.tensor, each.pack, each.offset, each.message};
    const auto [at, fresh] = places.try_emplace(key, findings.size());
    if (fresh) findings.push_back({&each, {}});
    if (!each.tag.empty()) findings[at->second].tags.push_back(each.tag);
  }
  return findings;
}

static std::string tags_text(const std::vector<std::string>& tags) {
  constexpr size_t kNamed = 3;
  if (tags.empty()) return "";
  std::string text = tags.size() == 1 ? "tag" : "tags";
  for (size_t i = 0; i < tags.size() && i < kNamed; ++i) {
    text += fmt::format("{} '{}'", i == 0 ? "" : ",", tags[i]);
  }
  if (tags.size() > kNamed) text += fmt::format(" and {} more", tags.size() - kNamed);
  return text;
}

std::vector<std::string> damage_lines(const std::vector<Damage>& damage) {
  std::vector<std::string> lines;
  for (const Finding& finding : group(damage)) {
    const Damage& each = *finding.first;
    std::string where = tags_text(finding.tags);
    const auto add = [&](const std::string& text) { where += (where.empty() ? "" : ", ") + text; };
    if (!each.tensor.empty()) add(fmt::format("tensor '{}'", each.tensor));
    if (!each.pack.empty()) add(fmt::format("pack '{}'", each.pack));
    if (each.offset) add(fmt::format("offset {}", *each.offset));
    lines.push_back(printable(
        fmt::format("{}{}{}: {}", each.kind, where.empty() ? "" : ": ", where, each.message)));
  }
  return lines;
}

static auto is(const char* kind) {
  return [kind](const Damage& each) { return each.kind == kind; };
}

bool loses_nothing(const std::vector<Damage>& damage) {
  return std::all_of(damage.begin(), damage.end(), is("pack-table"));
}

std::string repair_words(const std::vector<Damage>& damage) {
  if (damage.empty() || std::any_of(damage.begin(), damage.end(), is("config"))) return "";
  if (loses_nothing(damage)) return "gc";
  const bool needs_data = std::any_of(damage.begin(), damage.end(), is("data"));
  return needs_data ? "repair tags --read-data" : "repair tags";
}

}  // namespace cairn
