#include "cli/help.h"

#include <fmt/format.h>

namespace cairn {

const HelpPage* find_help_page(std::string_view name) {
  for (const HelpPage& page : help_pages()) {
    if (page.name == name) return &page;
  }
  return nullptr;
}

std::string exit_codes_text() {
  const HelpPage* shared = find_help_page("cairn");
  const std::string_view text = shared == nullptr ? "" : shared->text;
  const size_t begin = text.find("Exit status:");
  if (begin == std::string_view::npos) return "";
  // The list ends with the last line that is indented.
  size_t end = text.find("\n\n", text.find("\n    ", begin));
  if (end != std::string_view::npos) ++end;
  return std::string(text.substr(begin, end - begin));
}

std::string overview(std::span<const Command> commands) {
  std::string text =
      "usage: cairn [-s|--store DIR|URL] COMMAND ...\n\n"
      "Cairn keeps checkpoints of model training; each one costs only what changed.\n\nCommands:\n";
  for (const Command& command : commands) {
    if (command.is_hidden()) continue;
    const HelpPage* page = find_help_page(command.name);
    text += fmt::format("    {:<10} {}\n", command.name, page == nullptr ? "" : page->summary);
  }
  text += '\n';
  if (const HelpPage* shared = find_help_page("cairn")) text += shared->text;
  return text;
}

}  // namespace cairn
