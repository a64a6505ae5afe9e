// `cairn push`: tags go to another store, only what is missing there.
#include "cli/transfer_run.h"

namespace cairn {

int cmd_push(const Context& context, const PushOptions& options) {
  Output& output = context.output;
  const auto from = open_store(context.store, transfer_remote(context, options));
  if (!from) return output.fail(from.error());
  const auto to = open_destination(context, options, options.url, **from);
  if (!to) return output.fail(to.error());
  return run_transfer(context, **from, **to, options, {"push", "pushed"}, {});
}

}  // namespace cairn
