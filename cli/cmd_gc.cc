// `cairn gc`: frees what no tag needs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/confirm.h"
#include "cli/exit_codes.h"
#include "cli/gc_run.h"
#include "cli/human.h"

namespace cairn {

static bool has_work(const GcReport& plan) {
  return plan.packs_deleted + plan.packs_rewritten + plan.metas_deleted + plan.metas_rewritten != 0;
}

static Status ask(Output& output, const GcReport& plan) {
  return confirm(
      output,
      fmt::format("Free {} by deleting {} and writing {} anew?",
                  human_bytes(static_cast<uint64_t>(std::max<int64_t>(plan.freed_bytes, 0))),
                  counted(plan.packs_deleted + plan.metas_deleted, "pack"),
                  counted(plan.packs_rewritten + plan.metas_rewritten, "pack")),
      false);
}

static Result<GcReport> run(const Context& context, const GcOptions& options) {
  CAIRN_TRY(const auto store, Store::open(posix_fs(), context.store));
  if (options.dry_run || !options.yes) {
    CAIRN_TRY(GcReport plan, plan_collection(*store, gc_request(options)));
    if (options.dry_run) return plan;
    if (has_work(plan)) CAIRN_CHECK(ask(context.output, plan));
  }
  return run_gc(context, *store, options);
}

int cmd_gc(const Context& context, const GcOptions& options) {
  const auto report = run(context, options);
  Output& output = context.output;
  if (!report) return output.fail(report.error());
  if (output.json()) {
    output.result(gc_json(*report, options.dry_run));
  } else if (!output.quiet()) {
    output.print(gc_text(*report, options.dry_run));
  }
  return gc_status(output, *report);
}

}  // namespace cairn
