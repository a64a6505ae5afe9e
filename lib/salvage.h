// Putting a store back in order after damage: tags that lost data are set aside, and a lost root is
// put together from the metadata packs.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/check.h"
#include "store/store.h"

namespace cairn {

/// Takes the tags out of the root, pinned ones too, and writes them, with what was found, to a list
/// that is returned as a path: `set-aside/<time>.json` in the store. Nothing else is deleted: gc
/// collects what no other tag needs. From packs with bad bytes nothing is taken over any more
/// (store/distrust.h). Errors: as forget_tags.
Result<std::string> set_tags_aside(const Store& store, const std::vector<TagEntry>& tags,
                                   const std::vector<Damage>& damage, const Wait& wait);

/// A tag of which entries lie in metadata packs and none is whole.
struct LostTag {
  std::string name;
  std::string message;  ///< what the latest one lacks
};

struct SalvagedRoot {
  std::vector<TagEntry> tags;  ///< in the order of their saves
  std::vector<LostTag> lost;   ///< in name order; forgotten ones that gc took may be among them
  std::vector<std::string> damaged;  ///< damaged metadata packs, and why
  std::optional<uint64_t> commit;    ///< of the root, when only tag tables are lost
};

/// Keeps collections from taking what is found before it is named again.
Result<std::unique_ptr<FileLock>> lock_collections(const Store& store, const Wait& wait);

/// The tags that the root and its tag tables still name and, where these are damaged, those whose
/// entries lie in metadata packs, of several of one name the latest save that is whole. Among these
/// may be tags that were forgotten and not collected; forks are not among them unless gc or a tag
/// table has written their entries. Changes nothing. Errors: of anything that could not be read
/// and is not damaged.
Result<SalvagedRoot> find_tags(const Store& store);

/// Puts a root with these tags in the place of one that is missing or damaged, or that names tag
/// tables which are; the old one is kept as `root.damaged-<time>-<chance>`. `collections`: held
/// since before find_tags(). Errors: kExists when the root and its tables are sound by now; kBusy
/// when it was replaced; when it cannot be told whether it is damaged.
Status put_salvaged_root(const Store& store, const SalvagedRoot& salvaged,
                         const FileLock& collections, const Wait& wait);

}  // namespace cairn
