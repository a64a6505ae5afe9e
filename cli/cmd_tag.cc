// `cairn tag`: a second name for a checkpoint.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/open_place.h"
#include "cli/signals.h"
#include "lib/find_tag.h"
#include "store/commit.h"
#include "store/tag_name.h"

namespace cairn {

static Status run(const Context& context, const TagOptions& options) {
  CAIRN_CHECK(check_tag_name(options.new_tag));
  CAIRN_TRY(const auto store, open_store_to_write(context));
  CAIRN_TRY(TagEntry source, find_tag(*store, options.tag));
  const auto forked =
      fork_tag(*store, options.new_tag, source.name, stoppable_wait(options.wait_s));
  if (!forked) return tl::unexpected(forked.error());
  if (context.output.json()) {
    context.output.result({{"tag", forked->name},
                           {"manifest", forked->manifest.digest.hex()},
                           {"source", source.name}});
  } else if (context.output.quiet()) {
    context.output.print(forked->name + "\n");
  } else {
    context.output.print(fmt::format("'{}' is now '{}' too\n", source.name, forked->name));
  }
  return {};
}

int cmd_tag(const Context& context, const TagOptions& options) {
  const Status done = run(context, options);
  return done ? kExitOk : context.output.fail(done.error());
}

}  // namespace cairn
