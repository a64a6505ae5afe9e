// Taking tags out of a store, and marking those that are to stay. What a forgotten tag needed is
// gc's to find.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "store/store.h"

namespace cairn {

/// kProtected for a pinned tag.
Status refuse_pinned(const TagEntry& tag);

/// Removes the tags, all of them or none, in one change of the root. Those that are gone already
/// are passed over. Returns those that it removed. Errors: kProtected naming a pinned tag, unless
/// `allow_pinned`; kBusy when a tag is another checkpoint by now than the entry given.
Result<std::vector<TagEntry>> forget_tags(const Store& store, const std::vector<TagEntry>& tags,
                                          bool allow_pinned, const Wait& wait);

/// Pins the tags, or takes the pins off, all of them or none; success when it is so already.
/// Returns them as they stand. Errors: kNotFound.
Result<std::vector<TagEntry>> pin_tags(const Store& store, const std::vector<std::string>& names,
                                       bool pinned, const Wait& wait);
/// The same for one.
Result<TagEntry> pin_tag(const Store& store, const std::string& name, bool pinned,
                         const Wait& wait);

}  // namespace cairn
