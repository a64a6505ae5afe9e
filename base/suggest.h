// "Did you mean": near names for a word that is not known. Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

/// How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b`
/// (optimal string alignment). O(|a| * |b|) time, O(|b|) memory.
size_t edit_distance(std::string_view a, std::string_view b);

/// The names nearest to `word`, best first: those at most a third of its length away (at least one
/// edit, at most three), and those that begin with it.
std::vector<std::string> near_names(std::string_view word, std::span<const std::string> names,
                                    size_t names_max = 3);

/// "did you mean 'a' or 'b'?", or "" when nothing is near. `prefix` goes before each name.
std::string did_you_mean(std::string_view word, std::span<const std::string> names,
                         std::string_view prefix = "");

}  // namespace cairn
