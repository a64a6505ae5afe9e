#include "cli/gc_run.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/signals.h"
#include "store/index/index.h"
#include "store/index_helper.h"

namespace cairn {

/// Look-ups that still find copies in the packs cost a saver some work and no tag: where the index
/// cannot be had, gc goes on without. In a helper, since RocksDB may abort where a disk fails.
static void drop_from_index(const Context& context, const Store& store,
                            const std::vector<FileId>& packs) {
  if (packs.empty() || !file_exists(store.fs(), index_path(store))) return;
  const auto helper = IndexHelper::start(helper_program("/proc/self/exe"), store.path());
  const Status dropped = helper ? (*helper)->drop_packs(packs) : tl::unexpected(helper.error());
  if (dropped) return;
  const std::string what =
      fmt::format("the index keeps what it knows of deleted packs: {}", dropped.error().message);
  if (dropped.error().code == Code::kBusy) {
    context.output.detail(what);
  } else {
    context.output.warn(what + "; 'cairn repair index' makes it anew");
  }
}

GcRequest gc_request(const GcOptions& options) {
  GcRequest request;
  request.move = {options.max_repack_bytes, options.min_dead_percent};
  request.rebase = options.rebase;
  request.reclaim.wait = stoppable_wait(options.wait_s);
  if (options.reader_grace_s) {
    request.reclaim.reader_grace = std::chrono::seconds(*options.reader_grace_s);
  }
  return request;
}

Result<GcReport> run_gc(const Context& context, const Store& store, const GcOptions& options) {
  GcRequest request = gc_request(options);
  ProgressCounters counters;
  request.progress = &counters;
  request.reclaim.stop = &context.stop;
  request.reclaim.before_delete = [&](const std::vector<FileId>& packs) {
    drop_from_index(context, store, packs);
  };
  if (!options.reader_grace_s && store.fs().conditional() != nullptr) {
    context.output.note(
        fmt::format("in a bucket files are deleted {} s after they were given up, "
                    "for those who still read them ('--reader-grace')",
                    kBucketGrace.count()));
  }
  const Progress progress(context.output, context.progress, "gc", counters, context.network.get());
  return collect(store, request);
}

static nlohmann::ordered_json estimate_json(const std::optional<RebaseEstimate>& estimate) {
  if (!estimate) return {};
  return {{"frees_bytes", estimate->frees_bytes}, {"writes_bytes", estimate->writes_bytes}};
}

nlohmann::ordered_json gc_json(const GcReport& report, bool dry_run) {
  return {{"freed_bytes", report.freed_bytes},
          {"packs_deleted", report.packs_deleted},
          {"packs_rewritten", report.packs_rewritten},
          {"metas_deleted", report.metas_deleted},
          {"metas_rewritten", report.metas_rewritten},
          {"chunks_removed", report.chunks_removed},
          {"moved_bytes", report.moved_bytes},
          {"copies_rebased", report.copies_rebased},
          {"rebase", estimate_json(report.rebase)},
          {"not_rebased", report.not_rebased.size()},
          {"more", report.is_cut},
          {"needed_limit", report.needed_limit ? nlohmann::ordered_json(*report.needed_limit)
                                               : nlohmann::ordered_json()},
          {"failures", report.failures},
          {"damaged", report.unmovable},
          {"dry_run", dry_run}};
}

static std::string rebase_text(const RebaseEstimate& estimate, bool is_asked_for) {
  const bool pays = estimate.frees_bytes > estimate.writes_bytes;
  const uint64_t bytes = pays ? estimate.frees_bytes - estimate.writes_bytes : 0;
  if (is_asked_for) {
    return pays ? fmt::format("an estimate: '--rebase' would free about {} more\n",
                              human_bytes(bytes))
                : "'--rebase' would free nothing more\n";
  }
  if (!pays) return "";
  return fmt::format(
      "about {} more would come back with '--rebase': forgotten tags are kept for "
      "what was made from them\n",
      human_bytes(bytes));
}

std::string gc_text(const GcReport& report, bool dry_run, bool rebases) {
  const bool grew = report.freed_bytes < 0;
  const auto bytes = static_cast<uint64_t>(grew ? -report.freed_bytes : report.freed_bytes);
  std::string text =
      fmt::format("{} {}: {} deleted, {} written anew ({})", dry_run ? "would free" : "freed",
                  grew ? "-" + human_bytes(bytes) : human_bytes(bytes),
                  counted(report.packs_deleted + report.metas_deleted, "pack"),
                  report.packs_rewritten + report.metas_rewritten, human_bytes(report.moved_bytes));
  if (report.is_cut) text += "; more can be freed by another run";
  if (report.needed_limit) {
    text += fmt::format("; --max-repack-bytes is too small for the rest, which takes {} at least",
                        human_bytes(*report.needed_limit));
  }
  text += "\n";
  if (report.copies_rebased != 0) {
    text += fmt::format("{} now stand by themselves\n", counted(report.copies_rebased, "chunk"));
  }
  const bool is_told = !rebases || dry_run;
  if (report.rebase && is_told) text += rebase_text(*report.rebase, rebases);
  return text;
}

int gc_status(Output& output, const GcReport& report) {
  for (const std::string& failure : report.failures) output.warn(printable(failure));
  for (const std::string& damage : report.unmovable) {
    output.warn(fmt::format("left as it is: {}", printable(damage)));
  }
  if (!report.not_rebased.empty()) {
    output.warn(fmt::format("{} left alone: {}",
                            counted(report.not_rebased.size(), "damaged chain"),
                            printable(report.not_rebased.front())));
  }
  if (report.unmovable.empty() && !report.not_rebased.empty()) {
    output.warn("run 'cairn check --read-data' to see what is damaged");
    return exit_status(Code::kCorrupt);
  }
  if (!report.unmovable.empty()) {
    output.warn("damaged packs were left as they are; run 'cairn check --read-data'");
    return exit_status(Code::kCorrupt);
  }
  return report.failures.empty() ? kExitOk : exit_status(Code::kPartial);
}

}  // namespace cairn
