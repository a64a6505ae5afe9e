// `cairn stats`: what the store holds and costs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/standing_tags.h"
#include "cli/store_usage.h"
#include "cli/table.h"

namespace cairn {

using nlohmann::ordered_json;

static void print_json(Output& output, const StoreUsage& usage) {
  ordered_json by_class = ordered_json::object(), by_encoding = ordered_json::object();
  for (const auto& [name, each] : usage.by_class) {
    by_class[name] = {{"logical_bytes", each.logical_bytes}, {"stored_bytes", each.stored_bytes}};
  }
  for (const auto& [name, each] : usage.by_encoding) {
    by_encoding[name] = {{"chunks", each.chunks},
                         {"decoded_bytes", each.decoded_bytes},
                         {"stored_bytes", each.stored_bytes}};
  }
  output.result({{"tags", usage.tags},
                 {"tensors", usage.tensors},
                 {"logical_bytes", usage.logical_bytes},
                 {"unique_bytes", usage.unique_bytes},
                 {"stored_bytes", usage.stored_bytes},
                 {"disk_bytes", usage.disk_bytes},
                 {"dead_bytes", usage.dead_bytes},
                 {"packs", usage.packs},
                 {"chunks", usage.chunks},
                 {"by_class", by_class},
                 {"by_encoding", by_encoding}});
}

static std::string ratio(const StoreUsage& usage) {
  if (usage.stored_bytes == 0) return "";
  return fmt::format(" ({:.1f} times less than logical)",
                     double(usage.logical_bytes) / double(usage.stored_bytes));
}

static void print_text(Output& output, const StoreUsage& usage) {
  const auto line = [&](std::string_view key, std::string_view value) {
    output.print(fmt::format("{:<9} {}\n", key, value));
  };
  line("tags", fmt::format("{} with {}", usage.tags, counted(usage.tensors, "tensor")));
  line("logical", human_bytes(usage.logical_bytes));
  line("unique",
       fmt::format("{} in {}", human_bytes(usage.unique_bytes), counted(usage.chunks, "chunk")));
  line("stored", human_bytes(usage.stored_bytes) + ratio(usage));
  line("on disk",
       fmt::format("{}, {}", human_bytes(usage.disk_bytes), counted(usage.packs, "pack")));
  line("dead", human_bytes(usage.dead_bytes));
  Table classes({{"class"}, {"logical", Align::kRight}, {"stored", Align::kRight}});
  for (const auto& [name, each] : usage.by_class) {
    classes.add_row({name, human_bytes(each.logical_bytes), human_bytes(each.stored_bytes)});
  }
  if (!classes.empty()) output.print("\n" + classes.render());
  Table encodings({{"encoding"},
                   {"chunks", Align::kRight},
                   {"decoded", Align::kRight},
                   {"stored", Align::kRight}});
  for (const auto& [name, each] : usage.by_encoding) {
    encodings.add_row({name, std::to_string(each.chunks), human_bytes(each.decoded_bytes),
                       human_bytes(each.stored_bytes)});
  }
  if (!encodings.empty()) output.print("\n" + encodings.render());
}

static Result<StoreUsage> run(const Context& context) {
  CAIRN_TRY(const auto store, Store::open(posix_fs(), context.store));
  return look_at_tags(
      *store, [&](const TagList& tags) { return store_usage(*store, tags, &context.stop); });
}

int cmd_stats(const Context& context, const StatsOptions&) {
  const auto usage = run(context);
  if (!usage) return context.output.fail(usage.error());
  if (context.output.json()) {
    print_json(context.output, *usage);
  } else if (!context.output.quiet()) {
    print_text(context.output, *usage);
  }
  return kExitOk;
}

}  // namespace cairn
