// Putting a store back in order after damage: tags that lost data are set aside, and a lost root is
// put together from the metadata packs.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lib/check.h"
#include "store/store.h"

namespace cairn {

/// Takes the tags out of the root, pinned ones too, and writes them, with what was found, to a list
/// that is returned as a path: `set-aside/<time>.json` in the store. Nothing else is deleted: gc
/// collects what no other tag needs. Errors: as forget_tags.
Result<std::string> set_tags_aside(const Store& store, const std::vector<TagEntry>& tags,
                                   const std::vector<Damage>& damage, const Wait& wait);

struct SalvagedRoot {
  std::vector<TagEntry> tags;        ///< in the order of their saves
  std::vector<std::string> damaged;  ///< metadata packs that cannot be read, and why
  std::optional<uint64_t> commit;    ///< of the root, when only tag tables are lost
};

/// The tags that the root and its tag tables still name and, where they cannot be read, those whose
/// entries lie in metadata packs, of several of one name the latest save. Among these may be tags
/// that were forgotten and not collected; forks are not among them unless gc or a tag table has
/// written their entries. Changes nothing. Errors: those of listing the store.
Result<SalvagedRoot> find_tags(const Store& store);

/// Puts a root with these tags in the place of one that is missing or damaged, or that names tag
/// tables which are; the old one is kept as `root.damaged-<time>-<chance>`.
/// Errors: kExists when the root and its tables are sound by now; kBusy when it was replaced.
Status put_salvaged_root(const Store& store, const SalvagedRoot& salvaged, const Wait& wait);

}  // namespace cairn
