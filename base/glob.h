// Patterns over tag and tensor names: `*` any run of bytes, `?` one byte, `[abc]`, `[a-z]`, `[!a]`.
// Unlike a shell's, `*` and `?` also match `/`, so that `run7/*` means everything below run7.
#pragma once

#include <string_view>

namespace cairn {

/// A `[` without its `]` stands for itself; there is no escape. O(|pattern| * |text|) at worst.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace cairn
