// `cairn ls`: the tags of a store.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "base/glob.h"
#include "cli/commands.h"
#include "cli/exclusive.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/standing_tags.h"
#include "cli/table.h"
#include "cli/tag_json.h"

namespace cairn {

/// Whether a comes before b; equal ones stay in the order newest first.
static bool comes_before(LsSort sort, const TagEntry& a, const TagEntry& b) {
  switch (sort) {
    case LsSort::kNewest:
      return a.commit > b.commit;
    case LsSort::kOldest:
      return a.commit < b.commit;
    case LsSort::kName:
      return a.name < b.name;
    case LsSort::kStep:
      return a.step < b.step;
    case LsSort::kSize:
      return a.facts.logical_bytes > b.facts.logical_bytes;
    case LsSort::kNew:
      return a.facts.new_bytes > b.facts.new_bytes;
  }
  return false;
}

static std::vector<TagEntry> choose(const TagList& list, const LsOptions& options) {
  std::vector<TagEntry> chosen;
  for (const TagEntry& tag : list.tags) {
    if (options.pattern.empty() || glob_match(options.pattern, tag.name)) chosen.push_back(tag);
  }
  for (const LsSort sort : {LsSort::kNewest, options.sort}) {
    std::stable_sort(chosen.begin(), chosen.end(), [sort](const TagEntry& a, const TagEntry& b) {
      return comes_before(sort, a, b);
    });
  }
  if (options.limit && *options.limit < chosen.size()) chosen.resize(*options.limit);
  return chosen;
}

namespace {

struct Listed {
  TagList list;
  std::vector<TagEntry> tags;  // that were chosen
  std::optional<std::map<std::string, uint64_t>> exclusive;
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();  // with --json
};

}  // namespace

static Status add_rows(const Store& store, Listed& listed) {
  for (const TagEntry& tag : listed.tags) {
    CAIRN_TRY(const Manifest manifest, read_manifest(store, tag));
    auto row = tag_json(tag, manifest);
    if (listed.exclusive) row["exclusive_bytes"] = listed.exclusive->at(tag.name);
    listed.rows.push_back(std::move(row));
  }
  return {};
}

static Result<Listed> look(const Store& store, const LsOptions& options, bool exclusive,
                           bool with_rows) {
  return look_at_tags(store, [&](TagList list) -> Result<Listed> {
    Listed listed;
    listed.list = std::move(list);
    listed.tags = choose(listed.list, options);
    if (exclusive) {
      CAIRN_TRY(listed.exclusive, exclusive_bytes(store, listed.list));
    }
    if (with_rows) CAIRN_CHECK(add_rows(store, listed));
    return listed;
  });
}

static void print_table(Output& output, const std::vector<TagEntry>& tags,
                        const std::map<std::string, uint64_t>* exclusive) {
  std::vector<Column> columns = {{"tag"},
                                 {"age", Align::kRight},
                                 {"step", Align::kRight},
                                 {"size", Align::kRight},
                                 {"new", Align::kRight},
                                 {"stored", Align::kRight},
                                 {"pinned"}};
  if (exclusive != nullptr) columns.insert(columns.end() - 1, {"exclusive", Align::kRight});
  Table table(columns);
  const int64_t now = now_ns();
  for (const TagEntry& tag : tags) {
    std::vector<std::string> cells = {
        tag.name,
        human_age(std::max<int64_t>(0, now - tag.created_ns) / 1'000'000'000),
        tag.step ? std::to_string(*tag.step) : "-",
        human_bytes(tag.facts.logical_bytes),
        human_bytes(tag.facts.new_bytes),
        human_bytes(tag.facts.stored_bytes)};
    if (exclusive != nullptr) cells.push_back(human_bytes(exclusive->at(tag.name)));
    cells.push_back(tag.pinned ? "pinned" : "");
    table.add_row(std::move(cells));
  }
  if (!table.empty()) output.print(table.render(output.stdout_columns()));
}

/// An empty answer, in words, for people.
static void explain_nothing(Output& output, const TagList& list, const LsOptions& options) {
  if (list.tags.empty()) {
    output.note("there are no tags yet: 'cairn import TAG FILE' makes one");
    return;
  }
  const std::string below = options.pattern + "/*";
  const auto is_below = [&](const TagEntry& tag) { return glob_match(below, tag.name); };
  const auto count = std::count_if(list.tags.begin(), list.tags.end(), is_below);
  output.note(fmt::format("none of {} matches '{}'{}", counted(list.tags.size(), "tag"),
                          options.pattern,
                          count == 0 ? "" : fmt::format("; {} match '{}'", count, below)));
}

static Status run(const Context& context, const LsOptions& options) {
  CAIRN_TRY(const auto store, open_store_to_read(context));
  Output& output = context.output;
  const bool only_names = output.quiet() && !output.json();
  CAIRN_TRY(const Listed listed,
            look(*store, options, options.exclusive && !only_names, output.json()));
  if (only_names) {
    for (const TagEntry& tag : listed.tags) output.print(tag.name + "\n");
    return {};
  }
  if (output.json()) {
    output.result({{"tags", listed.rows}});
    return {};
  }
  print_table(output, listed.tags, listed.exclusive ? &*listed.exclusive : nullptr);
  if (listed.tags.empty() && options.limit != 0) explain_nothing(output, listed.list, options);
  return {};
}

int cmd_ls(const Context& context, const LsOptions& options) {
  const Status done = run(context, options);
  return done ? kExitOk : context.output.fail(done.error());
}

}  // namespace cairn
