#include "cli/commands.h"

namespace cairn {

std::span<const Command> all_commands() {
  static const Command kCommands[] = {
      command("version", Needs::kNothing, cmd_version),
      command("help", Needs::kNothing, cmd_help),
  };
  return kCommands;
}

}  // namespace cairn
