// `cairn diff`: what changed between two tags.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/table.h"
#include "cli/tensor_choice.h"
#include "cli/usage_table.h"
#include "lib/diff.h"
#include "lib/find_tag.h"
#include "lib/tag_usage.h"

namespace cairn {

using nlohmann::ordered_json;

static Result<std::unique_ptr<Checkpoint>> open(const Store& store, const std::string& text) {
  CAIRN_TRY(const TagEntry tag, find_tag(store, text));
  return open_tag(store, tag.name);
}

static void print_json(Output& output, const Checkpoint& a, const Checkpoint& b,
                       const DiffResult& result, const UsageByClass& beside, bool elements) {
  auto changed = ordered_json::array();
  for (const ChangedTensor& tensor : result.changed) {
    ordered_json row = {{"name", tensor.name},     {"class", tensor.tensor_class},
                        {"chunks", tensor.chunks}, {"changed_chunks", tensor.changed_chunks},
                        {"bytes", tensor.bytes},   {"changed_bytes", tensor.changed_bytes}};
    if (elements) row["changed_elements"] = tensor.changed_elements;
    changed.push_back(std::move(row));
  }
  output.result({{"a", a.tag().name},
                 {"b", b.tag().name},
                 {"changed", changed},
                 {"added", result.added},
                 {"removed", result.removed},
                 {"reshaped", result.reshaped},
                 {"attachments",
                  {{"changed", result.attachments.changed},
                   {"added", result.attachments.added},
                   {"removed", result.attachments.removed}}},
                 {"metadata_changed", result.metadata_changed},
                 {"step_changed", result.step_changed},
                 {"by_class_and_encoding", usage_json(beside)},
                 {"identical", result.identical()}});
}

static void print_changed(Output& output, const DiffResult& result, bool elements) {
  Table table({{"changed tensor"},
               {"class"},
               {"chunks", Align::kRight},
               {"bytes", Align::kRight},
               {"of", Align::kRight},
               {elements ? "elements" : "", Align::kRight}});
  for (const ChangedTensor& tensor : result.changed) {
    table.add_row({tensor.name, tensor.tensor_class,
                   fmt::format("{}/{}", tensor.changed_chunks, tensor.chunks),
                   human_bytes(tensor.changed_bytes), human_bytes(tensor.bytes),
                   elements ? std::to_string(tensor.changed_elements) : ""});
  }
  if (!table.empty()) output.print(table.render(output.stdout_columns()));
}

static void print_names(Output& output, const DiffResult& result) {
  const auto list = [&](std::string_view what, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      output.print(fmt::format("{} {}\n", what, printable(name)));
    }
  };
  list("added", result.added);
  list("removed", result.removed);
  list("reshaped", result.reshaped);
  list("changed attachment", result.attachments.changed);
  list("added attachment", result.attachments.added);
  list("removed attachment", result.attachments.removed);
  if (result.metadata_changed) output.print("other metadata\n");
  if (result.step_changed) output.print("another step\n");
}

static std::string summary(const DiffResult& result) {
  if (result.identical()) return "identical: " + counted(result.tensors, "tensor");
  uint64_t bytes = 0;
  for (const ChangedTensor& tensor : result.changed) bytes += tensor.changed_bytes;
  std::string text =
      fmt::format("{} of {} of one shape changed, {} in changed chunks", result.changed.size(),
                  counted(result.tensors, "tensor"), human_bytes(bytes));
  // Of these nothing is compared.
  const auto add = [&](size_t count, std::string_view what) {
    if (count != 0) text += fmt::format(", {} {}", count, what);
  };
  add(result.reshaped.size(), "reshaped");
  add(result.added.size(), "added");
  add(result.removed.size(), "removed");
  return text;
}

static void print_text(Output& output, const Checkpoint& a, const Checkpoint& b,
                       const DiffResult& result, const UsageByClass& beside, bool elements) {
  print_changed(output, result, elements);
  print_names(output, result);
  const std::string cost = usage_table(beside, output.stdout_columns());
  if (!cost.empty()) {
    output.print(fmt::format("\nwhat '{}' needs that '{}' does not have:\n{}\n", b.tag().name,
                             a.tag().name, cost));
  }
  output.print(summary(result) + "\n");
}

static Result<DiffResult> run(const Context& context, const DiffOptions& options) {
  CAIRN_TRY(const auto store, open_store_to_read(context));
  CAIRN_TRY(const auto a, open(*store, options.a));
  CAIRN_TRY(const auto b, open(*store, options.b));
  DiffRequest request;
  request.elements = options.elements;
  request.beyond_tensors = options.tensors.empty();
  request.wants = [&](const std::string& name) { return is_chosen(options.tensors, name); };
  CAIRN_TRY(DiffResult result, diff(*a, *b, request));
  if (result.is_empty() && !options.tensors.empty()) {
    return none_chosen(options.tensors, fmt::format("'{}' and '{}'", a->tag().name, b->tag().name));
  }
  Output& output = context.output;
  if (output.quiet() && !output.json()) {
    for (const ChangedTensor& tensor : result.changed) output.print(tensor.name + "\n");
    return result;
  }
  const auto counts = [&](size_t item) {
    return b->is_tensor(item) ? request.wants(b->item_name(item)) : request.beyond_tensors;
  };
  CAIRN_TRY(const UsageByClass beside, usage_beside(*a, *b, counts));
  if (output.json()) {
    print_json(output, *a, *b, result, beside, options.elements);
  } else {
    print_text(output, *a, *b, result, beside, options.elements);
  }
  return result;
}

int cmd_diff(const Context& context, const DiffOptions& options) {
  const auto result = run(context, options);
  if (!result) return context.output.fail(result.error());
  return options.exit_code && !result->identical() ? 1 : kExitOk;
}

}  // namespace cairn
