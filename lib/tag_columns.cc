#include "lib/tag_columns.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "base/bytes.h"
#include "store/tag_name.h"

namespace cairn {

static void sort_tags(std::vector<TagEntry>& tags) {
  std::map<std::string_view, uint64_t> first_commits;
  for (const TagEntry& tag : tags) {
    const auto [at, is_new] = first_commits.try_emplace(tag_prefix(tag.name), tag.commit);
    if (!is_new) at->second = std::min(at->second, tag.commit);
  }
  const auto key = [&](const TagEntry& tag) {
    const std::string_view prefix = tag_prefix(tag.name);
    return std::tuple(first_commits.at(prefix), prefix, tag.commit);
  };
  // Names move when tags do, and with them the keys: numbers are sorted.
  std::vector<size_t> order(tags.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return key(tags[a]) < key(tags[b]); });
  std::vector<TagEntry> sorted;
  sorted.reserve(tags.size());
  for (const size_t number : order) sorted.push_back(std::move(tags[number]));
  tags = std::move(sorted);
}

static uint64_t columns_of(const std::vector<TagGroup>& groups, size_t tags_a_column) {
  uint64_t columns = 0;
  for (const TagGroup& group : groups) columns += ceil_div(group.count, tags_a_column);
  return columns;
}

/// Parts as equal as can be, none larger than `step`.
static void cut(std::vector<TagColumn>& columns, size_t first, size_t count, size_t step) {
  const size_t parts = ceil_div(count, step);
  for (size_t i = 0; i < parts; ++i) {
    const size_t begin = count * i / parts, end = count * (i + 1) / parts;
    columns.push_back({first + begin, end - begin});
  }
}

TagColumns arrange_tags(std::vector<TagEntry> tags, size_t columns_max) {
  TagColumns result;
  sort_tags(tags);
  result.tags = std::move(tags);
  for (size_t i = 0; i < result.tags.size(); ++i) {
    const std::string_view prefix = tag_prefix(result.tags[i].name);
    if (result.groups.empty() || result.groups.back().prefix != prefix) {
      result.groups.push_back({std::string(prefix), i, 0});
    }
    ++result.groups.back().count;
  }
  if (result.groups.size() > columns_max) {
    cut(result.columns, 0, result.tags.size(), ceil_div(result.tags.size(), columns_max));
    return result;
  }
  size_t step = 1;
  while (columns_of(result.groups, step) > columns_max) ++step;
  for (const TagGroup& group : result.groups) cut(result.columns, group.first, group.count, step);
  return result;
}

}  // namespace cairn
