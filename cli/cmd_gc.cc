// `cairn gc`: frees what no tag needs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/confirm.h"
#include "cli/exit_codes.h"
#include "cli/gc_run.h"
#include "cli/human.h"
#include "cli/open_place.h"

namespace cairn {

/// What a rebase frees, about, as far as one is asked for.
static uint64_t rebase_bytes(const GcReport& plan, const GcOptions& options) {
  if (!options.rebase || !plan.rebase) return 0;
  const auto& [frees, writes] = *plan.rebase;
  return frees - std::min(frees, writes);
}

static bool has_work(const GcReport& plan, const GcOptions& options) {
  return rebase_bytes(plan, options) != 0 ||
         plan.packs_deleted + plan.packs_rewritten + plan.metas_deleted + plan.metas_rewritten != 0;
}

static Status ask(Output& output, const GcReport& plan, const GcOptions& options) {
  const uint64_t rebased = rebase_bytes(plan, options);
  const std::string more =
      rebased == 0 ? "" : fmt::format(", and about {} by a rebase", human_bytes(rebased));
  return confirm(
      output,
      fmt::format("Free {} by deleting {} and writing {} anew{}?",
                  human_bytes(static_cast<uint64_t>(std::max<int64_t>(plan.freed_bytes, 0))),
                  counted(plan.packs_deleted + plan.metas_deleted, "pack"),
                  counted(plan.packs_rewritten + plan.metas_rewritten, "pack"), more),
      false);
}

static Result<GcReport> run(const Context& context, const GcOptions& options) {
  CAIRN_TRY(const auto store, open_store_to_write(context));
  if (options.dry_run || !options.yes) {
    CAIRN_TRY(GcReport plan, plan_collection(*store, gc_request(options)));
    if (options.dry_run) return plan;
    if (has_work(plan, options)) CAIRN_CHECK(ask(context.output, plan, options));
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
    output.print(gc_text(*report, options.dry_run, options.rebase));
  }
  return gc_status(output, *report);
}

}  // namespace cairn
