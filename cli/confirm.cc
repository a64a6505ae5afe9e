#include "cli/confirm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <string>

namespace cairn {

Status confirm(Output& output, std::string_view question, bool yes) {
  if (yes) return {};
  if (::isatty(STDIN_FILENO) == 0 || !output.stderr_is_terminal()) {
    return fail(Code::kUsage,
                fmt::format("{} Nobody can be asked here; nothing was done", question),
                "add '--yes', or look first with '--dry-run'");
  }
  output.status_line(fmt::format("{} [y/N]", question));
  // Nothing when the terminal is closed, or a signal asks to stop.
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return fail(Code::kCancelled, "not confirmed; nothing was done");
}

}  // namespace cairn
