// Which tag of a store a tag that comes to it is compared with.
#pragma once

#include <optional>
#include <string>

#include "store/checkpoint.h"

namespace cairn {

/// The one that has most pages of `from`, its own and those of bases, among: that of the name, one
/// with the same manifest, the newest few of the same prefix, the newest of all. nullopt when none
/// has any. Tags that cannot be read are passed over. Errors: those of reading the tags' list.
Result<std::optional<TagEntry>> choose_standing_tag(const Store& to, const std::string& name,
                                                    const Checkpoint& from);

}  // namespace cairn
