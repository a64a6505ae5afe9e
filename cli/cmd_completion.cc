// `cairn completion SHELL`, and the hidden `cairn __complete` that its scripts ask.
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/completion_scripts.h"
#include "cli/exit_codes.h"
#include "lib/open_store.h"
#include "store/store.h"

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
  const char* usual = std::getenv("CAIRN_STORE");
  const std::string path = named.empty() && usual != nullptr ? usual : named;
  std::vector<std::string> names;
  const auto store = open_store(path);
  const auto list = store ? (*store)->read_tags() : tl::unexpected(store.error());
  if (!list) return names;
  for (const TagEntry& tag : list->tags) names.push_back(tag.name);
  return names;
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
