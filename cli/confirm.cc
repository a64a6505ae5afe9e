#include "cli/confirm.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cctype>
#include <iostream>
#include <string>

#include "cli/signals.h"

namespace cairn {

/// False when a stop signal comes first: a read would go on after it.
static bool wait_for_input() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  while (!stop_flag()) {
    constexpr int kLookAgainMs = 100;  // a signal may come before poll() does
    if (poll(&input, 1, kLookAgainMs) > 0) return true;
  }
  return false;
}

/// The question as a part of a sentence: "whether to forget 2 of 3 tags".
static std::string reported(std::string_view question) {
  std::string text(question.substr(0, question.find_last_not_of('?') + 1));
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return "whether to " + text;
}

Status confirm(Output& output, std::string_view question, bool yes) {
  if (yes) return {};
  if (::isatty(STDIN_FILENO) == 0 || !output.stderr_is_terminal()) {
    return fail(Code::kUsage,
                fmt::format("nobody can be asked here {}; nothing was done", reported(question)),
                "add '--yes' to do it, or look first with '--dry-run'");
  }
  output.status_line(fmt::format("{} [y/N]", question));
  std::string answer;  // none when the terminal is closed, or a signal asks to stop
  if (wait_for_input()) std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return fail(Code::kCancelled, "not confirmed; nothing was done");
}

}  // namespace cairn
