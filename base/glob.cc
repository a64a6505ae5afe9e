#include "base/glob.h"

#include <cstddef>
#include <cstdint>

namespace cairn {
namespace {

struct Step {
  bool matches = false;
  size_t length = 1;  ///< bytes of the pattern that this step took
};

// `set` begins at '['. A ']' that comes first is a member, as in POSIX.
Step match_set(std::string_view set, char byte) {
  size_t at = 1;
  const bool negated = at < set.size() && (set[at] == '!' || set[at] == '^');
  if (negated) ++at;
  const size_t first = at;
  bool member = false;
  for (; at < set.size() && (set[at] != ']' || at == first); ++at) {
    const auto low = static_cast<uint8_t>(set[at]);
    auto high = low;
    if (at + 2 < set.size() && set[at + 1] == '-' && set[at + 2] != ']') {
      high = static_cast<uint8_t>(set[at + 2]);
      at += 2;
    }
    const auto value = static_cast<uint8_t>(byte);
    if (low <= value && value <= high) member = true;
  }
  if (at >= set.size()) return {byte == '[', 1};
  return {member != negated, at + 1};
}

Step match_one(std::string_view pattern, char byte) {
  if (pattern[0] == '?') return {true, 1};
  if (pattern[0] == '[') return match_set(pattern, byte);
  return {pattern[0] == byte, 1};
}

}  // namespace

// Only the last star seen is ever retried: whatever an earlier one could take more, it can too.
bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    const Step step = p < pattern.size() ? match_one(pattern.substr(p), text[t]) : Step{};
    if (step.matches) {
      p += step.length;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace cairn
