// `cairn help [COMMAND]`: the overview, the page of a command, or a topic.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/suggest.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/help.h"

namespace cairn {
namespace {

/// A topic: no command, and no page of its own.
constexpr std::string_view kExitCodes = "exit-codes";

Error no_page(const std::string& name) {
  std::vector<std::string> names;
  for (const HelpPage& page : help_pages()) names.emplace_back(page.name);
  names.emplace_back(kExitCodes);
  return {Code::kUsage, fmt::format("no help on '{}'", name), did_you_mean(name, names)};
}

}  // namespace

int cmd_help(const Context& context, const HelpOptions& options) {
  std::string text;
  if (options.command.empty() || options.command == "cairn") {
    text = overview(context.commands);
  } else if (options.command == kExitCodes) {
    text = exit_codes_text();
  } else {
    const HelpPage* page = find_help_page(options.command);
    if (page == nullptr) return context.output.fail(no_page(options.command));
    text = page->text;
  }
  if (context.output.json()) {
    context.output.result({{"command", options.command}, {"text", text}});
  } else {
    context.output.print(text);
  }
  return kExitOk;
}

}  // namespace cairn
