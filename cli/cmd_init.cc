// `cairn init`: makes an empty store.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/parse.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/open_place.h"

namespace cairn {

int cmd_init(const Context& context, const InitOptions& options) {
  Output& output = context.output;
  const auto place = parse_store(options.folder.empty() ? context.store : options.folder);
  if (!place) return output.fail(place.error());
  const std::string& folder = *place;
  if (folder.empty()) {
    return output.fail({Code::kUsage, "no folder is named", "say 'cairn init FOLDER'"});
  }
  Config config;
  if (options.chunk_elements) config.chunk_elements = *options.chunk_elements;
  if (options.pack_bytes) config.pack_bytes = *options.pack_bytes;
  const Status made = init_store(folder, config, remote_options(context));
  if (!made) return output.fail(made.error());
  const auto store = open_store(folder, remote_options(context));
  if (!store) return output.fail(store.error());
  if (output.json()) {
    output.result({{"store", folder},
                   {"store_id", (*store)->config().store_id.hex()},
                   {"format", kFormatNumber},
                   {"chunk_elements", config.chunk_elements},
                   {"pack_bytes", config.pack_bytes}});
  } else if (output.quiet()) {
    output.print(folder + "\n");
  } else {
    output.print(fmt::format("made an empty store in '{}'\n", folder));
    note_whole_bucket(output, folder);
    output.note(fmt::format("next: export CAIRN_STORE='{}'; cairn import TAG FILE", folder));
  }
  return kExitOk;
}

}  // namespace cairn
