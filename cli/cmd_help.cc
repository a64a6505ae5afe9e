// `cairn help [COMMAND]`: the overview, or the page of a command.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/help.h"
#include "base/suggest.h"

namespace cairn {
namespace {

Error no_page(const std::string& name) {
  std::vector<std::string> names;
  for (const HelpPage& page : help_pages()) names.emplace_back(page.name);
  return {Code::kUsage, fmt::format("no help on '{}'", name), did_you_mean(name, names)};
}

}  // namespace

int cmd_help(const Context& context, const HelpOptions& options) {
  std::string text;
  if (options.command.empty() || options.command == "cairn") {
    text = overview(context.commands);
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
