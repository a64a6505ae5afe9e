// `cairn completion SHELL`, and the hidden `cairn __complete` that its scripts ask.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/completion_scripts.h"
#include "cli/exit_codes.h"
#include "cli/known_tags.h"

namespace cairn {

int cmd_completion(const Context& context, const CompletionOptions& options) {
  for (const CompletionScript& script : completion_scripts()) {
    if (script.shell != options.shell) continue;
    if (context.output.json()) {
      context.output.result({{"shell", script.shell}, {"script", script.text}});
    } else {
      context.output.print(script.text);
    }
    return kExitOk;
  }
  return context.output.fail({Code::kUsage,
                              fmt::format("there is no completion for '{}'", options.shell),
                              "name one of bash, zsh, fish"});
}

/// Quiet when there is no such store: nobody wants an error in the middle of a command line.
static std::vector<std::string> list_tags(const std::string& named) {
  const Environment environment = process_environment();
  return known_tags(named.empty() ? environment("CAIRN_STORE").value_or("") : named, environment);
}

int cmd_complete(const Context& context, const CompleteOptions& options) {
  if (options.words.empty()) return kExitOk;
  const Completions found = complete(context.commands, options.words, list_tags);
  for (const std::string& word : found.words) context.output.print(word + "\n");
  if (found.paths == CompletePaths::kFiles) context.output.print(":files\n");
  if (found.paths == CompletePaths::kFolders) context.output.print(":folders\n");
  return kExitOk;
}

}  // namespace cairn
