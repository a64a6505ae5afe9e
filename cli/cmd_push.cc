// `cairn push`: tags go to another store, only what is missing there.
#include "cli/transfer_run.h"
#include "lib/open_store.h"

namespace cairn {

int cmd_push(const Context& context, const PushOptions& options) {
  Output& output = context.output;
  const auto from = open_store(context.store);
  if (!from) return output.fail(from.error());
  const auto to = open_destination(context, options.url, **from, options.dry_run);
  if (!to) return output.fail(to.error());
  return run_transfer(context, **from, *to ? &***to : nullptr, options, {"push", "pushed"}, {});
}

}  // namespace cairn
