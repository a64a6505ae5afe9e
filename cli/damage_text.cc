#include "cli/damage_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "cli/human.h"

namespace cairn {

namespace {

/// One thing that is damaged, and who needs it.
struct Finding {
  const Damage* first = nullptr;
  std::vector<std::string> tags;
  std::set<std::string> known_tags, tensors;

  void add(const Damage& damage) {
    if (!damage.tensor.empty()) tensors.insert(damage.tensor);
    if (!damage.tag.empty() && known_tags.insert(damage.tag).second) tags.push_back(damage.tag);
  }
};

}  // namespace

/// What is so of a pack as a whole is told once, not for each tensor in it.
static bool is_of_whole_pack(const Damage& damage) {
  return damage.kind == "missing-pack" || damage.kind == "short-pack";
}

static std::vector<Finding> group(const std::vector<Damage>& damage) {
  using Key =
      std::tuple<std::string, std::string, std::string, std::optional<uint64_t>, std::string>;
  std::map<Key, size_t> places;
  std::vector<Finding> findings;
  for (const Damage& each : damage) {
    const Key key = is_of_whole_pack(each)
                        ? Key{each.kind, "", each.pack, std::nullopt, ""}
                        : Key{each.kind, each.tensor, each.pack, each.offset, each.message};
    const auto [at, fresh] = places.try_emplace(key, findings.size());
    if (fresh) findings.emplace_back().first = &each;
    findings[at->second].add(each);
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

static std::string line_of(const Finding& finding) {
  const Damage& first = *finding.first;
  // Of tensors that share a line each has another one.
  const bool is_one_place = finding.tensors.size() <= 1;
  std::string where = tags_text(finding.tags);
  const auto add = [&](const std::string& text) { where += (where.empty() ? "" : ", ") + text; };
  if (finding.tensors.size() > 1) {
    add(counted(finding.tensors.size(), "tensor"));
  } else if (!first.tensor.empty()) {
    add(fmt::format("tensor '{}'", first.tensor));
  }
  if (!first.pack.empty()) add(fmt::format("pack '{}'", first.pack));
  if (first.offset && is_one_place) add(fmt::format("offset {}", *first.offset));
  std::string_view message = first.message;
  if (!is_one_place && message.starts_with("chunk ")) message.remove_prefix(message.find(": ") + 2);
  return printable(
      fmt::format("{}{}{}: {}", first.kind, where.empty() ? "" : ": ", where, message));
}

std::vector<std::string> damage_lines(const std::vector<Damage>& damage) {
  std::vector<std::string> lines;
  for (const Finding& finding : group(damage)) lines.push_back(line_of(finding));
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
