#include "cli/open_place.h"

#include <fmt/format.h>

#include "store/remote/url.h"
#include "store/writable.h"

namespace cairn {

remote::RemoteOptions remote_options(const Context& context) {
  remote::RemoteOptions options;
  options.stop = &context.stop;
  options.counters = context.network;
  options.retry_for = std::chrono::seconds(context.remote.retry_for_s);
  return options;
}

Result<OpenStore> open_store(const Context& context) {
  return open_store(context.store, remote_options(context));
}

Result<OpenStore> open_store_to_write(const Context& context) {
  CAIRN_TRY(OpenStore store, open_store(context));
  CAIRN_CHECK(check_may_write(*store));
  return store;
}

Result<OpenStore> open_store_to_read(const Context& context) {
  remote::RemoteOptions options = remote_options(context);
  options.may_cache = true;
  return open_store(context.store, options);
}

void note_whole_bucket(Output& output, const std::string& place) {
  const auto url = remote::parse_url(place);
  if (!url || url->scheme != "s3" || url->path.find_first_not_of('/') != std::string::npos) return;
  output.note(
      fmt::format("the whole bucket is the store; beside other things it lies better below a "
                  "prefix: 's3://{}/PREFIX'",
                  url->host));
}

}  // namespace cairn
