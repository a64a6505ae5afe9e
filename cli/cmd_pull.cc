// `cairn pull`: tags come from another store, only what is missing here.
#include "cli/lazy_look_up.h"
#include "cli/transfer_run.h"

namespace cairn {

int cmd_pull(const Context& context, const PullOptions& options) {
  Output& output = context.output;
  const remote::RemoteOptions remote = transfer_remote(context, options);
  const auto from = open_store(options.url, remote);
  if (!from) return output.fail(from.error());
  const auto to = open_destination(context, context.store, **from, remote);
  if (!to) return output.fail(to.error());
  return run_transfer(context, **from, **to, options, {"pull", "pulled"},
                      lazy_look_up(output, context.store, "pulling"));
}

}  // namespace cairn
