// From the words of a command line to an exit status: finds the command, fills its options (command
// line, environment, settings file), checks what every command has in common, runs it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/settings.h"

namespace cairn {

/// What a run sees of its process; replaced in tests.
struct Surroundings {
  Environment environment = process_environment();
  int stdout_fd = 1;
  int stderr_fd = 2;
};

/// `words` are the program's arguments without its name. Never throws, never exits.
int run(std::span<const Command> commands, const std::vector<std::string>& words,
        const Surroundings& surroundings);

}  // namespace cairn
