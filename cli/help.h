// The pages of docs/cli, compiled in (cli/help_pages.py), and the overview made from them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"

namespace cairn {

struct HelpPage {
  std::string_view name;     ///< of the command; "cairn" for what comes after the list of commands
  std::string_view summary;  ///< a few words
  std::string_view text;     ///< for a terminal, ended by a newline
};

/// All pages, in name order (generated).
std::span<const HelpPage> help_pages();

/// nullptr when there is none.
const HelpPage* find_help_page(std::string_view name);

/// The exit statuses, from the page of what all commands share.
std::string exit_codes_text();

/// How to call the program, what the commands are, and what all of them share.
std::string overview(std::span<const Command> commands);

}  // namespace cairn
