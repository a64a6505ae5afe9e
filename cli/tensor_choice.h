// Which tensors a user means with `--tensors`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cairn {

/// Whether one of the globs matches the name; without globs every tensor is chosen.
bool is_chosen(const std::vector<std::string>& globs, std::string_view name);

/// What to say when globs chose nothing of `tag` (or of several tags, in words): kNotFound.
tl::unexpected<Error> none_chosen(const std::vector<std::string>& globs, std::string_view tag);

}  // namespace cairn
