// Names of a store's tags for someone who waits at a shell's prompt: soon, or none.
#pragma once

#include <string>
#include <vector>

#include "cli/settings.h"

namespace cairn {

/// `place`: a folder or URL. None when it cannot be read, or is a remote that does not answer
/// within 2 s. Those of a remote are kept for 30 s in `$XDG_CACHE_HOME/cairn` (`~/.cache/cairn`).
std::vector<std::string> known_tags(const std::string& place, const Environment& environment);

}  // namespace cairn
