// `cairn push`: tags go to another store, only what is missing there.
#include "cli/transfer_run.h"

namespace cairn {

int cmd_push(const Context& context, const PushOptions& options) {
  return run_transfer(context, {context.store, options.url}, options, {"push", "pushed"}, {});
}

}  // namespace cairn
