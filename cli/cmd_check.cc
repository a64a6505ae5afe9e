// `cairn check`: is everything there and whole?
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/find_tag.h"
#include "cli/human.h"
#include "lib/check.h"

namespace cairn {

using nlohmann::ordered_json;

static ordered_json damage_json(const Damage& damage) {
  ordered_json row = {{"kind", damage.kind}};
  if (!damage.tag.empty()) row["tag"] = damage.tag;
  if (!damage.tensor.empty()) row["tensor"] = damage.tensor;
  if (!damage.pack.empty()) row["pack"] = damage.pack;
  if (damage.offset) row["offset"] = *damage.offset;
  row["message"] = damage.message;
  return row;
}

static std::string damage_text(const Damage& damage) {
  std::string where;
  const auto add = [&](std::string_view what, const std::string& name) {
    if (!name.empty()) where += fmt::format("{}{} '{}'", where.empty() ? "" : ", ", what, name);
  };
  add("tag", damage.tag);
  add("tensor", damage.tensor);
  add("pack", damage.pack);
  if (damage.offset) where += fmt::format(", offset {}", *damage.offset);
  return fmt::format("{}{}{}: {}", damage.kind, where.empty() ? "" : ": ", where, damage.message);
}

static void print(Output& output, const CheckReport& report) {
  if (output.json()) {
    auto errors = ordered_json::array();
    for (const Damage& damage : report.damage) errors.push_back(damage_json(damage));
    output.result({{"ok", report.damage.empty()},
                   {"tags", report.tags},
                   {"packs", report.packs},
                   {"chunks", report.chunks},
                   {"bytes_read", report.bytes_read},
                   {"out_of_time", report.out_of_time},
                   {"errors", errors},
                   {"repair", nullptr}});
    return;
  }
  for (const Damage& damage : report.damage) output.print(printable(damage_text(damage)) + "\n");
  if (output.quiet()) return;
  output.print(fmt::format("{}, {} in {}, {} read{}: {}\n", counted(report.tags, "tag"),
                           counted(report.chunks, "chunk"), counted(report.packs, "pack"),
                           human_bytes(report.bytes_read),
                           report.out_of_time ? " (out of time)" : "",
                           report.damage.empty() ? "nothing wrong" : "damaged"));
}

/// A store whose config or root cannot be read is damage to report, not a failure to check.
static Result<CheckReport> damaged_store(const Error& error) {
  if (error.code != Code::kCorrupt) return tl::unexpected(error);
  CheckReport report;
  report.damage.push_back({"root", "", "", "", std::nullopt, error.message});
  return report;
}

static Result<CheckReport> run(const Context& context, const CheckOptions& options) {
  const auto store = Store::open(posix_fs(), context.store);
  if (!store) return damaged_store(store.error());
  const auto list = (*store)->read_tags();
  if (!list) return damaged_store(list.error());
  ProgressCounters counters;
  CheckRequest request;
  request.read_percent = options.read_data_percent;
  if (options.time_limit_s) request.time_limit = std::chrono::seconds(*options.time_limit_s);
  request.progress = &counters;
  request.stop = &context.stop;
  for (const std::string& name : options.tags) {
    CAIRN_TRY(TagEntry tag, find_tag(**store, name));
    request.tags.push_back(std::move(tag));
  }
  if (options.tags.empty()) request.tags = list->tags;
  const Progress progress(context.output, context.progress, "check", counters);
  return check(**store, request);
}

int cmd_check(const Context& context, const CheckOptions& options) {
  const auto report = run(context, options);
  if (!report) return context.output.fail(report.error());
  print(context.output, *report);
  if (report->damage.empty()) return kExitOk;
  context.output.warn(
      fmt::format("'{}' is damaged: {}", context.store, counted(report->damage.size(), "finding")));
  return exit_status(Code::kCorrupt);
}

}  // namespace cairn
