// `cairn version`: which program this is and which stores it reads.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "store/config.h"

namespace cairn {

int cmd_version(const Context& context, const VersionOptions&) {
  Output& output = context.output;
  if (output.json()) {
    output.result(
        {{"version", CAIRN_VERSION}, {"format", kFormatNumber}, {"compiler", __VERSION__}});
  } else if (output.quiet()) {
    output.print(CAIRN_VERSION "\n");
  } else {
    output.print(fmt::format("cairn {} (store format {})\n", CAIRN_VERSION, kFormatNumber));
  }
  return kExitOk;
}

}  // namespace cairn
