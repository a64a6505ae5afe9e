#include "base/suggest.h"

#include <algorithm>
#include <utility>

namespace cairn {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::vector<std::string> near_names(std::string_view word, std::span<const std::string> names,
                                    size_t names_max) {
  const size_t edits_max = std::clamp<size_t>(word.size() / 3, 1, 3);
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& name : names) {
    const size_t gap = std::max(word.size(), name.size()) - std::min(word.size(), name.size());
    const bool begins = word.size() >= 2 && name.starts_with(word);
    if (gap > edits_max && !begins) continue;
    const size_t edits = edit_distance(word, name);
    if (edits <= edits_max || begins) near.emplace_back(begins ? 1 : edits, name);
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  if (near.size() > names_max) near.resize(names_max);
  std::vector<std::string> found;
  for (auto& [edits, name] : near) found.push_back(std::move(name));
  return found;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> names,
                         std::string_view prefix) {
  const std::vector<std::string> near = near_names(word, names);
  if (near.empty()) return "";
  std::string text = "did you mean ";
  for (size_t i = 0; i < near.size(); ++i) {
    if (i > 0) text += i + 1 == near.size() ? " or " : ", ";
    text += '\'';
    text += prefix;
    text += near[i];
    text += '\'';
  }
  return text + '?';
}

}  // namespace cairn
