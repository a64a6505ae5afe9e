// `cairn repair`: rebuilds the index, sets aside tags that lost data, puts a lost root together.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/damage_text.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/signals.h"
#include "lib/salvage.h"
#include "store/index/index.h"

namespace cairn {

using nlohmann::ordered_json;

static Result<int> would_repair_index(const Context& context, const Store& store) {
  CAIRN_TRY(const TagList list, store.read_tags());
  if (context.output.json()) {
    context.output.result({{"tags", list.tags.size()}, {"chunks", nullptr}, {"dry_run", true}});
  } else if (!context.output.quiet()) {
    context.output.print(fmt::format("would remove '{}' and build it anew: {}\n", index_path(store),
                                     counted(list.tags.size(), "tag")));
  }
  return kExitOk;
}

static Result<int> repair_index(const Context& context, const RepairOptions& options) {
  CAIRN_TRY(const auto store, open_store_to_write(context));
  if (store->fs().read_habits().is_remote) {
    return fail(Code::kUsage,
                fmt::format("'{}' is a bucket, and only folders have an index", store->path()),
                "'cairn repair tags' looks for tags that lost data");
  }
  if (options.dry_run) return would_repair_index(context, *store);
  CAIRN_CHECK(Index::destroy(*store));
  CAIRN_TRY(const auto index, Index::open(*store, Index::Access::kWrite));
  CAIRN_CHECK(index->catch_up());
  CAIRN_TRY(const IndexState state, index->state());
  if (context.output.json()) {
    context.output.result({{"tags", state.tags}, {"chunks", state.chunks}, {"dry_run", false}});
  } else if (!context.output.quiet()) {
    context.output.print(fmt::format("rebuilt the index: {}, {}\n", counted(state.tags, "tag"),
                                     counted(state.chunks, "chunk")));
  }
  return kExitOk;
}

/// What a repair of tags finds and does, for people and for programs.
struct TagRepair {
  bool salvages_root = false;
  std::vector<TagEntry> kept;
  std::vector<TagEntry> lost;
  std::vector<Damage> damage;
  std::vector<LostTag> gone;            ///< tags that a salvage found no whole entry of
  std::vector<std::string> unreadable;  ///< metadata packs
  std::string list;                     ///< the file that names what was set aside
};

static ordered_json repair_json(const TagRepair& repair, bool dry_run) {
  ordered_json result = {{"salvaged_root", repair.salvages_root},
                         {"kept", ordered_json::array()},
                         {"set_aside", ordered_json::array()},
                         {"lost", ordered_json::array()},
                         {"unreadable", repair.unreadable},
                         {"list", repair.list.empty() ? ordered_json() : ordered_json(repair.list)},
                         {"dry_run", dry_run}};
  for (const TagEntry& tag : repair.kept) result["kept"].push_back(tag.name);
  for (const LostTag& tag : repair.gone) {
    result["lost"].push_back({{"tag", tag.name}, {"message", tag.message}});
  }
  for (const TagEntry& tag : repair.lost) {
    ordered_json tensors = ordered_json::array();
    std::set<std::string> named;
    for (const Damage& damage : repair.damage) {
      const bool is_new = damage.tag == tag.name && !damage.tensor.empty();
      if (is_new && named.insert(damage.tensor).second) tensors.push_back(damage.tensor);
    }
    result["set_aside"].push_back({{"tag", tag.name}, {"tensors", tensors}});
  }
  return result;
}

static void print(Output& output, const TagRepair& repair, bool dry_run) {
  if (output.json()) return output.result(repair_json(repair, dry_run));
  if (output.quiet()) return;
  for (const std::string& line : damage_lines(repair.damage)) output.print(line + "\n");
  for (const std::string& pack : repair.unreadable) {
    output.print(fmt::format("cannot be read: {}\n", printable(pack)));
  }
  for (const LostTag& tag : repair.gone) {
    output.print(fmt::format("lost, unless it was forgotten before: '{}': {}\n",
                             printable(tag.name), printable(tag.message)));
  }
  const std::string would = dry_run ? "would be " : "";
  if (repair.salvages_root) {
    output.print(fmt::format("the root {}put together from metadata packs: {}\n", would,
                             counted(repair.kept.size(), "tag")));
    output.note("look at 'cairn ls': second names and pins may be lost, forgotten tags back");
    return;
  }
  for (const TagEntry& tag : repair.lost) {
    output.print(fmt::format("{}set aside: '{}'\n", would, printable(tag.name)));
  }
  output.print(fmt::format(
      "{} whole, {} {}set aside{}\n", counted(repair.kept.size(), "tag"), repair.lost.size(), would,
      repair.list.empty() ? "" : fmt::format(", listed in '{}'", repair.list)));
  if (std::any_of(repair.damage.begin(), repair.damage.end(),
                  [](const Damage& each) { return each.kind == "pack-table"; })) {
    output.note("'cairn gc' writes packs with damaged tables anew; a load does without tables");
  }
}

static Status salvage_root(const Context& context, const Store& store, const RepairOptions& options,
                           TagRepair& repair) {
  repair.salvages_root = true;
  const Wait wait = stoppable_wait(options.wait_s);
  std::unique_ptr<FileLock> collections;
  if (!options.dry_run) {
    CAIRN_TRY(collections, lock_collections(store, wait));
  }
  CAIRN_TRY(const SalvagedRoot found, find_tags(store));
  repair.kept = found.tags;
  repair.gone = found.lost;
  repair.unreadable = found.damaged;
  if (options.dry_run) return {};
  CAIRN_CHECK(confirm(
      context.output,
      fmt::format("Put the root together with {} found in metadata packs, without some pins "
                  "and second names?",
                  counted(found.tags.size(), "tag")),
      options.yes));
  CAIRN_CHECK(put_salvaged_root(store, found, *collections, wait));
  return Index::destroy(store);
}

static Status set_aside(const Context& context, const Store& store, const TagList& list,
                        const RepairOptions& options, TagRepair& repair) {
  CheckRequest request;
  request.tags = list.tags;
  request.read_percent = options.read_data_percent;
  request.must_settle = true;
  request.stop = &context.stop;
  ProgressCounters counters;
  request.progress = &counters;
  std::optional<Progress> progress;
  progress.emplace(context.output, context.progress, "repair", counters);
  auto report = check(store, request);
  progress.reset();
  if (!report) {
    Error error = report.error();
    if (error.hint.empty()) error.hint = "nothing was changed; try again once it can be read";
    return tl::unexpected(std::move(error));
  }
  repair.damage = std::move(report->damage);
  std::set<std::string> damaged;
  for (const Damage& damage : repair.damage) damaged.insert(damage.tag);
  for (const TagEntry& tag : list.tags) {
    (damaged.contains(tag.name) ? repair.lost : repair.kept).push_back(tag);
  }
  if (options.dry_run || repair.lost.empty()) return {};
  CAIRN_CHECK(confirm(context.output,
                      fmt::format("Set {} of {} aside, which lost data?", repair.lost.size(),
                                  counted(list.tags.size(), "tag")),
                      options.yes));
  CAIRN_TRY(repair.list,
            set_tags_aside(store, repair.lost, repair.damage, stoppable_wait(options.wait_s)));
  return {};
}

static Result<int> repair_tags(const Context& context, const RepairOptions& options) {
  CAIRN_TRY(const auto store, open_store_to_write(context));
  TagRepair repair;
  const auto list = store->read_tags();
  if (!list && list.error().code == Code::kCorrupt) {
    CAIRN_CHECK(salvage_root(context, *store, options, repair));
  } else {
    CAIRN_CHECK(list);
    CAIRN_CHECK(set_aside(context, *store, *list, options, repair));
  }
  print(context.output, repair, options.dry_run);
  return kExitOk;
}

int cmd_repair(const Context& context, const RepairOptions& options) {
  Result<int> status =
      fail(Code::kUsage, fmt::format("'{}' cannot be repaired by itself", options.what),
           "'cairn repair index' or 'cairn repair tags'");
  if (options.what == "index") status = repair_index(context, options);
  if (options.what == "tags") status = repair_tags(context, options);
  return status ? *status : context.output.fail(status.error());
}

}  // namespace cairn
