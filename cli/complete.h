// What may come next on a command line, for the shells: made from the same declarations that the
// parser uses. The scripts of `cairn completion` ask `cairn __complete -- WORDS...`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace cairn {

/// What the shell adds by itself.
enum class CompletePaths : uint8_t { kNone, kFiles, kFolders };

struct Completions {
  std::vector<std::string> words;  ///< that begin with what was typed of the last word
  CompletePaths paths = CompletePaths::kNone;
};

/// The tags of a store; none when it cannot be read. `store` is as typed, "" when none was.
using ListTags = std::function<std::vector<std::string>(const std::string& store)>;

/// `words`: the command line behind the program's name; the last word is the one to complete, and
/// may be empty. REQUIRES: not empty.
Completions complete(std::span<const Command> commands, const std::vector<std::string>& words,
                     const ListTags& list_tags);

}  // namespace cairn
