// `cairn report`: a page of plots about the store.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/glob.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/gc_run.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/report/html.h"
#include "cli/report/report_page.h"
#include "cli/report/tag_table.h"
#include "cli/store_usage.h"
#include "cli/tag_json.h"
#include "lib/new_file.h"

namespace cairn {

static constexpr std::string_view kStdout = "-";

static Result<std::vector<TagEntry>> choose(const TagList& list, const std::string& pattern) {
  std::vector<TagEntry> chosen;
  for (const TagEntry& tag : list.tags) {
    if (pattern.empty() || glob_match(pattern, tag.name)) chosen.push_back(tag);
  }
  if (chosen.empty() && !list.tags.empty()) {
    return fail(Code::kNotFound,
                fmt::format("none of {} matches '{}'", counted(list.tags.size(), "tag"), pattern),
                "'cairn ls' lists them");
  }
  return chosen;
}

/// A line of what users and files say about a tag, cut where it becomes long.
static std::string metadata_line(const Manifest& manifest) {
  constexpr size_t kLineBytes = 200, kWordBytes = 60;
  std::string line;
  for (const auto& [key, value] : merged_metadata(manifest)) {
    if (line.size() > kLineBytes) return line + " …";
    if (!line.empty()) line += "  ";
    line += shortened(key, kWordBytes) + "=" + shortened(value, kWordBytes);
  }
  return line;
}

static Status add_metadata(const Store& store, ReportView& view) {
  const auto& tags = view.facts.tags.tags;
  view.metadata.resize(tags.size());
  for (const size_t number : newest_tags(tags)) {
    CAIRN_TRY(const Manifest manifest, read_manifest(store, tags[number]));
    view.metadata[number] = metadata_line(manifest);
  }
  return {};
}

static Result<ReportView> look_once(const Context& context, const Store& store, const TagList& list,
                                    std::vector<TagEntry> chosen) {
  CAIRN_TRY(StoreUsage usage, store_usage(store, list, &context.stop));
  ReportView view;
  CAIRN_TRY(view.facts, gather_report(store, std::move(usage), std::move(chosen), &context.stop));
  CAIRN_CHECK(add_metadata(store, view));
  // As a dry run says; where that cannot be told, what no tag needs.
  const auto plan = plan_collection(store, gc_request({}));
  if (plan)
    view.facts.reclaimable_bytes = static_cast<uint64_t>(std::max<int64_t>(plan->freed_bytes, 0));
  return view;
}

/// Files go when gc runs in the middle: as long as the store has changed it is read again.
static Result<ReportView> look(const Context& context, const ReportOptions& options) {
  constexpr int kAttemptsMax = 5;
  CAIRN_TRY(const auto store, open_store(context));
  for (int attempt = 1;; ++attempt) {
    CAIRN_TRY(const TagList list, store->read_tags());
    CAIRN_TRY(auto chosen, choose(list, options.pattern));
    auto view = look_once(context, *store, list, std::move(chosen));
    if (view) {
      view->store = context.store;
      view->pattern = options.pattern;
      view->now_ns = now_ns();
      return view;
    }
    Error error = view.error();
    if (error.code != Code::kNotFound && error.code != Code::kCorrupt) return view;
    CAIRN_TRY(const TagList now, store->read_tags());
    if (now.commit != list.commit && attempt < kAttemptsMax) continue;
    // A tag is there and its files are not: that is damage.
    error.code = Code::kCorrupt;
    if (error.hint.empty()) error.hint = "run 'cairn check'";
    return tl::unexpected(std::move(error));
  }
}

/// `-` is stdout.
static Status write(Output& output, const std::string& path, const std::string& page, bool force) {
  if (path == kStdout) {
    (void)output.print(page);
    return {};
  }
  CAIRN_TRY(NewFile file, NewFile::create(posix_fs(), path, force));
  CAIRN_CHECK(file.append(as_bytes(page)));
  return file.publish();
}

/// Says that the file is there before the store is read for a long time.
static Status check_options(const ReportOptions& options, bool json) {
  if (options.output.empty()) {
    return fail(Code::kUsage, "no file to write was named", "add '-o FILE.html'");
  }
  if (options.output == kStdout) {
    return json ? fail(Code::kUsage, "'-o -' and '--json' both want stdout") : Status();
  }
  if (options.force || !file_exists(posix_fs(), options.output)) return {};
  return fail(Code::kExists, fmt::format("'{}' exists already", options.output),
              "choose another path, or '--force'");
}

int cmd_report(const Context& context, const ReportOptions& options) {
  Output& output = context.output;
  const Stopwatch watch;
  if (const Status checked = check_options(options, output.json()); !checked)
    return output.fail(checked.error());
  const auto view = look(context, options);
  if (!view) return output.fail(view.error());
  const std::string page = report_page(*view);
  const Status written = write(output, options.output, page, options.force);
  if (!written) return output.fail(written.error());
  const size_t tags = view->facts.tags.tags.size();
  if (options.output == kStdout) return kExitOk;
  if (output.json()) {
    output.result({{"path", options.output},
                   {"bytes", page.size()},
                   {"tags", tags},
                   {"logical_bytes", view->facts.usage.logical_bytes},
                   {"stored_bytes", view->facts.usage.stored_bytes},
                   {"disk_bytes", view->facts.usage.disk_bytes},
                   {"reclaimable_bytes", view->facts.reclaimable_bytes},
                   {"elapsed_s", watch.seconds()}});
  } else if (output.quiet()) {
    output.print(options.output + "\n");
  } else {
    output.print(fmt::format("wrote '{}': {} about {}, in {}\n", options.output,
                             human_bytes(page.size()), counted(tags, "tag"),
                             human_duration(watch.seconds())));
  }
  return kExitOk;
}

}  // namespace cairn
