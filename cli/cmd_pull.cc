// `cairn pull`: tags come from another store, only what is missing here.
#include "cli/lazy_look_up.h"
#include "cli/transfer_run.h"

namespace cairn {

static const TransferWords kWords = {"pull", "pulled"};

int cmd_pull(const Context& context, const PullOptions& options) {
  Output& output = context.output;
  const remote::RemoteOptions remote = transfer_remote(context, options);
  const auto from = open_store(options.url, remote);
  if (!from) return output.fail(from.error());
  const auto to = open_destination(context, context.store, **from, options, kWords, remote);
  if (!to) return output.fail(to.error());
  // A look-up brings the index up to date, and a dry run changes nothing.
  const LookUp look_up =
      options.dry_run ? LookUp() : lazy_look_up(output, context.store, "pulling");
  return run_transfer(context, **from, *to ? &***to : nullptr, options, kWords, look_up);
}

}  // namespace cairn
