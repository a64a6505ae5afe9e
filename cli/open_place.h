// Stores by the words of a command line, reached as its flags say and left when a signal asks.
#pragma once

#include <string>

#include "cli/commands.h"
#include "lib/open_store.h"

namespace cairn {

/// How this call speaks to remotes: a stop signal ends its requests.
remote::RemoteOptions remote_options(const Context& context);

/// The store that the call is for. Errors: as open_store().
Result<OpenStore> open_store(const Context& context);
/// The same for what changes it. Errors: kUsage where nothing can be written; kNewerFormat.
Result<OpenStore> open_store_to_write(const Context& context);
/// The same for what only reads tags: through a cache that is kept nearby, if there is one.
Result<OpenStore> open_store_to_read(const Context& context);

/// A note where a store that was just made there is all of a bucket.
void note_whole_bucket(Output& output, const std::string& place);

}  // namespace cairn
