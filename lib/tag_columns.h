// Tags in the order in which a picture shows them, and the few columns that it has room for. Pure.
#pragma once

#include <string>
#include <vector>

#include "store/root_format.h"

namespace cairn {

/// The tags of one prefix, a run's more often than not.
struct TagGroup {
  std::string prefix;  ///< with its '/'; "" for names without one
  size_t first = 0, count = 0;
};

struct TagColumn {
  size_t first = 0, count = 0;  ///< neighbours, of one group where there is room for that
};

struct TagColumns {
  std::vector<TagEntry> tags;      ///< groups by their first commit, in a group by commit
  std::vector<TagGroup> groups;    ///< of `tags`
  std::vector<TagColumn> columns;  ///< of `tags`
};

TagColumns arrange_tags(std::vector<TagEntry> tags, size_t columns_max);

}  // namespace cairn
