// `cairn pull`: tags come from another store, only what is missing here.
#include "cli/lazy_look_up.h"
#include "cli/transfer_run.h"

namespace cairn {

int cmd_pull(const Context& context, const PullOptions& options) {
  // A look-up brings the index up to date, and a dry run changes nothing.
  const LookUp look_up =
      options.dry_run ? LookUp() : lazy_look_up(context.output, context.store, "pulling");
  return run_transfer(context, {options.url, context.store}, options, {"pull", "pulled"}, look_up);
}

}  // namespace cairn
