// `cairn check`: is everything there and whole?
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/damage_text.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "lib/check.h"
#include "lib/find_tag.h"
#include "store/index/index.h"

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

/// The command that mends what was found; empty when there is nothing that can be mended.
static std::string repair_command(const Context& context, const CheckReport& report) {
  if (!report.damage.empty()) {
    const std::string words = repair_words(report.damage);
    return words.empty() ? "" : fmt::format("cairn -s '{}' {}", context.store, words);
  }
  const auto store = open_store(context);
  if (!store || !file_exists(posix_fs(), index_path(**store))) return "";
  const auto index = Index::open(**store, Index::Access::kRead);
  const bool is_damaged = !index && index.error().code == Code::kCorrupt;
  return is_damaged ? fmt::format("cairn -s '{}' repair index", context.store) : "";
}

static void print(Output& output, const CheckReport& report, const std::string& repair) {
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
                   {"unsettled", report.unsettled},
                   {"repair", repair.empty() ? ordered_json() : ordered_json(repair)}});
    return;
  }
  for (const std::string& line : damage_lines(report.damage)) output.print(line + "\n");
  if (output.quiet()) return;
  output.print(fmt::format("{}, {} in {}, {} read{}: {}\n", counted(report.tags, "tag"),
                           counted(report.chunks, "chunk"), counted(report.packs, "pack"),
                           human_bytes(report.bytes_read),
                           report.out_of_time ? " (out of time)" : "",
                           report.damage.empty() ? "nothing wrong" : "damaged"));
}

/// A store whose config or root cannot be read is damage to report, not a failure to check.
static Result<CheckReport> damaged_store(const std::string& kind, const Error& error) {
  if (error.code != Code::kCorrupt) return tl::unexpected(error);
  CheckReport report;
  report.damage.push_back({kind, "", "", "", std::nullopt, error.message});
  return report;
}

/// Where a check that ran out of time goes on: the name of a pack, in the file `check.next`.
class CheckBookmark {
 public:
  explicit CheckBookmark(const Store& store)
      : fs_(store.fs()), path_(join_path(store.path(), "check.next")) {}

  /// The very first pack when there is no bookmark, or none that can be read.
  Result<FileId> read() const {
    const auto text = read_file(fs_, path_, kKiB);
    const auto pack = text ? FileId::parse(as_text(*text)) : Result<FileId>(FileId{});
    return pack ? *pack : FileId{};
  }
  Status write(const std::optional<FileId>& next) const {
    if (next) return replace_file(fs_, path_, path_ + ".new", as_bytes(next->name()));
    return file_exists(fs_, path_) ? fs_.remove(path_) : Status();
  }

 private:
  Fs& fs_;
  const std::string path_;
};

static void warn_of_idle_flags(Output& output, const CheckOptions& options) {
  if (options.read_data_percent) return;
  for (const auto& [is_given, flag] : {std::pair(options.time_limit_s.has_value(), "--time-limit"),
                                       std::pair(options.resume, "--resume")}) {
    if (is_given) output.warn(fmt::format("'{}' says nothing without '--read-data'", flag));
  }
}

static Result<CheckReport> run(const Context& context, const CheckOptions& options) {
  const auto store = open_store(context);
  if (!store) return damaged_store("config", store.error());
  const auto list = (*store)->read_tags();
  if (!list) return damaged_store("root", list.error());
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
  CheckBookmark bookmark(**store);
  const bool resumes = options.resume && options.read_data_percent;
  if (resumes) {
    CAIRN_TRY(request.from_pack, bookmark.read());
  }
  const Progress progress(context.output, context.progress, "check", counters,
                          context.network.get());
  auto report = check(**store, request);
  if (!resumes || !report) return report;
  // On a store that is read only the next check begins where this one did.
  const Status written = bookmark.write(report->next_pack);
  if (!written) {
    context.output.warn(
        fmt::format("how far this check came is not remembered: {}", written.error().message));
  }
  return report;
}

int cmd_check(const Context& context, const CheckOptions& options) {
  warn_of_idle_flags(context.output, options);
  const auto report = run(context, options);
  if (!report) return context.output.fail(report.error());
  const std::string repair = repair_command(context, *report);
  for (const std::string& tag : report->unsettled) {
    context.output.warn(
        printable(fmt::format("'{}' changed each time it was checked: check it again", tag)));
  }
  print(context.output, *report, repair);
  if (report->damage.empty()) {
    if (!repair.empty()) {
      context.output.warn(
          fmt::format("the index is damaged, which costs no data; to mend it: {}", repair));
    }
    return kExitOk;
  }
  context.output.warn(repair.empty()
                          ? "nothing mends this: put the file back from a copy"
                          : fmt::format("to mend it: {}  (first with --dry-run, to look)", repair));
  if (loses_nothing(report->damage)) {
    context.output.warn("no tag lost anything: a load does without the tables of packs");
  }
  context.output.warn(fmt::format("'{}' is damaged: {}", context.store,
                                  counted(damage_lines(report->damage).size(), "finding")));
  return exit_status(Code::kCorrupt);
}

}  // namespace cairn
