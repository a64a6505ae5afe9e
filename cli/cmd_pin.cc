// `cairn pin` and `cairn unpin`: tags that no policy forgets.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/open_place.h"
#include "cli/signals.h"
#include "lib/find_tag.h"
#include "store/forget.h"

namespace cairn {

static Status run(const Context& context, const PinOptions& options, bool pinned) {
  CAIRN_TRY(const auto store, open_store_to_write(context));
  std::vector<std::string> names;
  for (const std::string& text : options.tags) {
    CAIRN_TRY(const TagEntry found, find_tag(*store, text));
    names.push_back(found.name);
  }
  CAIRN_TRY(const auto tags, pin_tags(*store, names, pinned, stoppable_wait(options.wait_s)));
  if (context.output.json()) {
    context.output.result({{"tag", names.front()}, {"pinned", pinned}, {"tags", names}});
    return {};
  }
  for (const TagEntry& tag : tags) {
    context.output.print(context.output.quiet() ? tag.name + "\n"
                                                : fmt::format("'{}' is {}\n", tag.name,
                                                              pinned ? "pinned" : "not pinned"));
  }
  return {};
}

int cmd_pin(const Context& context, const PinOptions& options) {
  const Status done = run(context, options, true);
  return done ? kExitOk : context.output.fail(done.error());
}

int cmd_unpin(const Context& context, const UnpinOptions& options) {
  const Status done = run(context, options, false);
  return done ? kExitOk : context.output.fail(done.error());
}

}  // namespace cairn
