// `cairn stats`: what the store holds and costs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/standing_tags.h"
#include "cli/store_usage.h"
#include "cli/table.h"
#include "cli/usage_table.h"

namespace cairn {

using nlohmann::ordered_json;

static UsageByEncoding encodings_of(const StoreUsage& usage, const std::string& class_name) {
  const auto found = usage.by_class_and_encoding.find(class_name);
  return found == usage.by_class_and_encoding.end() ? UsageByEncoding() : found->second;
}

static ordered_json class_json(const StoreUsage& usage, const std::string& name,
                               const ClassUsage& of_class) {
  LoadTime time;
  const UsageByEncoding encodings = encodings_of(usage, name);
  for (const auto& [held, each] : encodings) time += load_time(name, held, each);
  const EncodingUsage sum = sum_of(encodings);
  return {{"logical_bytes", of_class.logical_bytes},
          {"stored_bytes", of_class.stored_bytes},
          {"decoded_bytes", sum.decoded_bytes},
          {"ratio", ratio_json(sum)},
          {"restore_cost", cost_json(time.cost())}};
}

static void print_json(Output& output, const StoreUsage& usage) {
  ordered_json by_class = ordered_json::object(), by_encoding = ordered_json::object();
  for (const auto& [name, each] : usage.by_class) by_class[name] = class_json(usage, name, each);
  for (const auto& [held, each] : sum_by_encoding(usage.by_class_and_encoding)) {
    LoadTime time;
    for (const auto& [name, encodings] : usage.by_class_and_encoding) {
      const auto of_class = encodings.find(held);
      if (name != kHistoryClass && of_class != encodings.end()) {
        time += load_time(name, held, of_class->second);
      }
    }
    by_encoding[held_name(held)] = {{"chunks", each.chunks},
                                    {"decoded_bytes", each.decoded_bytes},
                                    {"stored_bytes", each.stored_bytes},
                                    {"ratio", ratio_json(each)},
                                    {"restore_cost", cost_json(time.cost())}};
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
                 {"by_encoding", by_encoding},
                 {"by_class_and_encoding", usage_json(usage.by_class_and_encoding)}});
}

static std::string ratio(const StoreUsage& usage) {
  if (usage.stored_bytes == 0) return "";
  return fmt::format(" ({:.1f} times less than logical)",
                     double(usage.logical_bytes) / double(usage.stored_bytes));
}

static void print_classes(Output& output, const StoreUsage& usage) {
  Table table({{"class"},
               {"logical", Align::kRight},
               {"decoded", Align::kRight},
               {"stored", Align::kRight},
               {"ratio", Align::kRight},
               {"share", Align::kRight}});
  for (const auto& [name, each] : usage.by_class) {
    const EncodingUsage sum = sum_of(encodings_of(usage, name));
    table.add_row({name, human_bytes(each.logical_bytes), human_bytes(sum.decoded_bytes),
                   human_bytes(each.stored_bytes), human_ratio(sum.decoded_bytes, sum.stored_bytes),
                   human_percent(each.stored_bytes, usage.stored_bytes)});
  }
  if (!table.empty()) output.print("\n" + table.render(output.stdout_columns()));
}

static void print_encodings(Output& output, const StoreUsage& usage) {
  Table table({{"encoding"},
               {"chunks", Align::kRight},
               {"decoded", Align::kRight},
               {"stored", Align::kRight},
               {"ratio", Align::kRight},
               {"share", Align::kRight}});
  const UsageByEncoding encodings = sum_by_encoding(usage.by_class_and_encoding);
  const uint64_t stored = sum_of(encodings).stored_bytes;
  for (const auto& [held, each] : encodings) {
    table.add_row({held_name(held), std::to_string(each.chunks), human_bytes(each.decoded_bytes),
                   human_bytes(each.stored_bytes),
                   human_ratio(each.decoded_bytes, each.stored_bytes),
                   human_percent(each.stored_bytes, stored)});
  }
  if (!table.empty()) output.print("\n" + table.render(output.stdout_columns()));
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
  print_classes(output, usage);
  print_encodings(output, usage);
  const std::string both = usage_table(usage.by_class_and_encoding, output.stdout_columns());
  if (!both.empty()) output.print("\n" + both);
}

static Result<StoreUsage> run(const Context& context) {
  CAIRN_TRY(const auto store, open_store(context));
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
