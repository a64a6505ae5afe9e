// What docs/FORMAT.md demands of a tag beyond what decoding its parts one by one finds: that they
// fit each other. A load trips only over what lies in its way; `check` wants to know all of it.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "store/checkpoint.h"

namespace cairn {

/// Pages at their place: schema, number in the manifest, page, locator.
using PagesAtPlace = std::set<std::tuple<Digest, size_t, Digest, Digest>>;

/// What tags share is looked at once.
struct SeenByRules {
  PagesAtPlace pages;
  /// Stored bytes that a page's copies have in each pack, by its locator.
  std::map<Digest, std::map<FileId, uint64_t>> uses;
};

/// Calls report(item, what) for each thing that is wrong; `item` is the tensor or attachment it is
/// about, or empty. Parts that cannot be read are passed over. Errors: kNewerFormat.
Status check_tag_rules(Checkpoint& checkpoint, SeenByRules& seen,
                       const std::function<void(std::string item, std::string what)>& report);

}  // namespace cairn
