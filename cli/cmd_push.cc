// `cairn push`: tags go to another store, only what is missing there.
#include "cli/transfer_run.h"

namespace cairn {

static const TransferWords kWords = {"push", "pushed"};

int cmd_push(const Context& context, const PushOptions& options) {
  Output& output = context.output;
  const remote::RemoteOptions remote = transfer_remote(context, options);
  const auto from = open_store(context.store, remote);
  if (!from) return output.fail(from.error());
  const auto to = open_destination(context, options.url, **from, options, kWords, remote);
  if (!to) return output.fail(to.error());
  return run_transfer(context, **from, *to ? &***to : nullptr, options, kWords, {});
}

}  // namespace cairn
