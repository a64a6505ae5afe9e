// The tag a user means: a name, or `PREFIX/@newest`.
#pragma once

#include <string_view>

#include "store/store.h"

namespace cairn {

/// `@newest` is the newest tag of all, `PREFIX/@newest` the newest below the prefix.
/// Errors: kNotFound, suggesting near names.
Result<TagEntry> find_tag(const Store& store, std::string_view text);

}  // namespace cairn
