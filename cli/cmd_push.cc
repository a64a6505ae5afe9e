// `cairn push`: tags go to another store, only what is missing there.
#include <fmt/format.h>

#include "cli/transfer_run.h"
#include "lib/open_store.h"

namespace cairn {

int cmd_push(const Context& context, const PushOptions& options) {
  Output& output = context.output;
  const auto from = open_store(context.store);
  if (!from) return output.fail(from.error());
  bool was_made = false;
  const auto to = open_or_make_store(options.url, (*from)->config(), was_made);
  if (!to) return output.fail(to.error());
  if (was_made) output.note(fmt::format("made an empty store in '{}'", options.url));
  return run_transfer(context, **from, **to, options, {"push", "pushed"}, {});
}

}  // namespace cairn
