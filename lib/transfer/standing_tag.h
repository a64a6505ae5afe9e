// Which tag of a store a tag that comes to it is compared with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/transfer/cargo.h"

namespace cairn {

/// A tag to compare with, and what was met on the way to it.
struct StandingTag {
  std::optional<TagEntry> tag;
  std::vector<std::string> notes = {};  ///< which tags cannot be read, and why
};

/// The one that has most pages of `cargo`, and of what `from` is made from, among: that of the
/// name, one with the same manifest, the newest few of the same prefix, the newest of all; none of
/// those whose tables are in `passed_over`, nor what cannot be read. Errors: those of reading the
/// tags' list; of a store that is not reached.
Result<StandingTag> choose_standing_tag(const Store& to, const std::string& name,
                                        const Checkpoint& from, const Cargo& cargo,
                                        const std::vector<Reference>& passed_over);

/// "tag '...' of '...' is not built upon: why".
std::string passed_over_note(const Store& store, const std::string& tag, const Error& why);

}  // namespace cairn
