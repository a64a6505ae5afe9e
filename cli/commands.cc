#include "cli/commands.h"

namespace cairn {

std::span<const Command> all_commands() {
  static const Command kCommands[] = {
      command("init", Needs::kNothing, cmd_init),
      command("import", Needs::kStore, cmd_import),
      command("export", Needs::kStore, cmd_export),
      command("ls", Needs::kStore, cmd_ls),
      command("show", Needs::kStore, cmd_show),
      command("diff", Needs::kStore, cmd_diff),
      command("cat", Needs::kStore, cmd_cat),
      command("tag", Needs::kStore, cmd_tag),
      command("pin", Needs::kStore, cmd_pin),
      command("unpin", Needs::kStore, cmd_unpin),
      command("forget", Needs::kStore, cmd_forget),
      command("gc", Needs::kStore, cmd_gc),
      command("push", Needs::kStore, cmd_push),
      command("pull", Needs::kStore, cmd_pull),
      command("remote", Needs::kNothing, cmd_remote),
      command("stats", Needs::kStore, cmd_stats),
      command("report", Needs::kStore, cmd_report),
      command("check", Needs::kStore, cmd_check),
      command("repair", Needs::kStore, cmd_repair),
      command("completion", Needs::kNothing, cmd_completion),
      command("__complete", Needs::kNothing, cmd_complete),
      command("__index", Needs::kStore, cmd_index),
      command("version", Needs::kNothing, cmd_version),
      command("help", Needs::kNothing, cmd_help),
  };
  return kCommands;
}

}  // namespace cairn
