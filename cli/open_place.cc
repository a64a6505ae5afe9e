#include "cli/open_place.h"

namespace cairn {

remote::RemoteOptions remote_options(const Context& context) {
  remote::RemoteOptions options;
  options.stop = &context.stop;
  options.retry_for = std::chrono::seconds(context.remote.retry_for_s);
  return options;
}

Result<OpenStore> open_store(const Context& context) {
  return open_store(context.store, remote_options(context));
}

Result<OpenStore> open_store_to_read(const Context& context) {
  remote::RemoteOptions options = remote_options(context);
  options.may_cache = true;
  return open_store(context.store, options);
}

}  // namespace cairn
