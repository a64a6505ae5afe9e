// The scripts of `cairn completion`, compiled in from cli/completion/.
#pragma once

#include <span>
#include <string_view>

namespace cairn {

struct CompletionScript {
  std::string_view shell;
  std::string_view text;
};
std::span<const CompletionScript> completion_scripts();

}  // namespace cairn
