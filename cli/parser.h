// Splits the words of a command line into flags and positionals by a FlagSet. The only user of
// CLI11, which is slow to compile. CLI11 is asked for the splitting alone: its own checks end in
// exit codes and messages that are not the contract's, so that everything is optional to it and
// checked here.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/flags.h"

namespace cairn {

/// What stood on the command line, not yet set into any target.
struct ParsedWords {
  std::map<std::string, std::vector<std::string>> flags;  ///< by name; values in order
  std::vector<std::string> positionals;
};

/// `words` is what follows the program's name, without the command. Flags and positionals may be
/// mixed; after `--` everything is positional. Errors: kUsage, with the nearest flag as hint.
Result<ParsedWords> parse_words(const FlagSet& flags, const std::vector<std::string>& words);

/// Gives positionals and flags to their setters. Errors: kUsage, naming the flag or positional.
Status set_from_words(const FlagSet& flags, const ParsedWords& parsed);

}  // namespace cairn
