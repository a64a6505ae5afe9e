// `cairn show`: what a tag holds.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/open_place.h"
#include "cli/table.h"
#include "cli/tag_json.h"
#include "cli/tensor_choice.h"
#include "cli/usage_table.h"
#include "lib/describe.h"
#include "lib/find_tag.h"
#include "lib/restore_cost.h"
#include "lib/tag_usage.h"
#include "lib/tensor.h"

namespace cairn {

using nlohmann::ordered_json;

namespace {

struct Shown {
  std::vector<TensorDescription> tensors;  // that were chosen
  UsageByClass usage;                      // of these, and of the attachments where all were
  double cost = 1;                         // of the whole tag
};

}  // namespace

static std::string_view name_of(const TensorDescription& tensor) {
  return dtype_name(static_cast<Dtype>(tensor.dtype));
}

static ordered_json tensor_json(const TensorDescription& tensor) {
  ordered_json encodings = ordered_json::object(), by_encoding = ordered_json::object();
  for (const auto& [held, usage] : tensor.encodings) {
    encodings[held_name(held)] = usage.chunks;
    by_encoding[held_name(held)] = {{"chunks", usage.chunks},
                                    {"decoded_bytes", usage.decoded_bytes},
                                    {"stored_bytes", usage.stored_bytes},
                                    {"ratio", ratio_json(usage)}};
  }
  return {{"name", tensor.name},
          {"dtype", name_of(tensor)},
          {"shape", tensor.shape},
          {"bytes", tensor.bytes},
          {"chunks", tensor.chunks},
          {"new_bytes", tensor.new_bytes},
          {"stored_bytes", tensor.stored_bytes},
          {"encodings", encodings},
          {"by_encoding", by_encoding}};
}

static ordered_json layouts_json(const Checkpoint& checkpoint, const Layout& layout,
                                 const ShowOptions& options) {
  ordered_json one = {{"writers", layout.writers}};
  if (!options.layout) return ordered_json::array({one});
  auto tensors = ordered_json::array();
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const std::string& name = checkpoint.schema().tensors[i].name;
    if (!is_chosen(options.tensors, name)) continue;
    auto boxes = ordered_json::array();
    for (const LayoutBox& box : layout.tensors[i].boxes) {
      boxes.push_back({{"writer", box.writer}, {"offsets", box.offsets}, {"lengths", box.lengths}});
    }
    tensors.push_back({{"name", name}, {"boxes", boxes}});
  }
  one["tensors"] = tensors;
  return ordered_json::array({one});
}

static void print_json(Output& output, const Checkpoint& checkpoint, const Layout& layout,
                       const Shown& shown, const ShowOptions& options) {
  ordered_json document = tag_json(checkpoint.tag(), checkpoint.manifest());
  document["tensors"] = ordered_json::array();
  for (const TensorDescription& tensor : shown.tensors) {
    document["tensors"].push_back(tensor_json(tensor));
  }
  document["layouts"] = layouts_json(checkpoint, layout, options);
  document["attachments"] = ordered_json::array();
  for (const AttachmentInfo& attachment : checkpoint.manifest().attachments) {
    document["attachments"].push_back({{"name", attachment.name}, {"bytes", attachment.bytes}});
  }
  document["by_class_and_encoding"] = usage_json(shown.usage);
  document["restore_cost"] = shown.cost;
  document["weights_direct"] = checkpoint.tag().facts.weights_age == 0;
  document["dropped_tensors"] = checkpoint.tag().facts.dropped_tensors;
  output.result(document);
}

static void print_head(Output& output, const Checkpoint& checkpoint, double cost) {
  const TagEntry& tag = checkpoint.tag();
  const TagFacts& facts = tag.facts;
  output.print(output.bold(tag.name) + "\n");
  const auto line = [&](std::string_view key, std::string_view value) {
    output.print(fmt::format("  {:<10} {}\n", key, printable(value)));
  };
  line("manifest", tag.manifest.digest.hex());
  line("created", format_rfc3339(tag.created_ns));
  if (tag.step) line("step", std::to_string(*tag.step));
  line("size",
       fmt::format("{} in {}", human_bytes(facts.logical_bytes), counted(facts.tensors, "tensor")));
  // What the save did, not what holds today: gc and forget change neither.
  line("saved", fmt::format("{} new, {} added to the disk then", human_bytes(facts.new_bytes),
                            human_bytes(facts.stored_bytes)));
  line("restore", cost == 1 ? "as long as a keyframe"
                            : fmt::format("about {:.1f} times as long as a keyframe", cost));
  if (facts.weights_age == 0) line("weights", "load without masters and moments");
  if (tag.pinned) line("pinned", "yes");
  if (facts.dropped_tensors != 0) {
    // By 'forget --drop' or a transfer of a part: the tag is the same.
    line("part", fmt::format("{} of the save left out", counted(facts.dropped_tensors, "tensor")));
  }
  for (const auto& [key, value] : merged_metadata(checkpoint.manifest())) {
    line("metadata", key + "=" + value);
  }
  for (const AttachmentInfo& attachment : checkpoint.manifest().attachments) {
    line("attachment", fmt::format("{} ({})", attachment.name, human_bytes(attachment.bytes)));
  }
}

/// `12 replay 3.90x, 4 raw`: how many chunks, and the ratio where there can be one.
static std::string encodings_text(const UsageByEncoding& encodings) {
  std::string text;
  for (const auto& [held, usage] : encodings) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", usage.chunks, held_name(held));
    const bool is_smaller = held && *held != Encoding::kRaw && usage.stored_bytes > 0;
    if (is_smaller) text += " " + human_ratio(usage.decoded_bytes, usage.stored_bytes);
  }
  return text;
}

static void print_tensors(Output& output, const std::vector<TensorDescription>& tensors) {
  Table table({{"tensor"},
               {"dtype"},
               {"shape"},
               {"size", Align::kRight},
               {"new", Align::kRight},
               {"stored", Align::kRight},
               {"encodings"}});
  for (const TensorDescription& tensor : tensors) {
    table.add_row({tensor.name, std::string(name_of(tensor)), shape_text(tensor.shape),
                   human_bytes(tensor.bytes), human_bytes(tensor.new_bytes),
                   human_bytes(tensor.stored_bytes), encodings_text(tensor.encodings)});
  }
  if (!table.empty()) output.print("\n" + table.render(output.stdout_columns()));
}

static void print_boxes(Output& output, const Checkpoint& checkpoint, const Layout& layout,
                        const ShowOptions& options) {
  Table table({{"tensor"}, {"writer", Align::kRight}, {"box"}});
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const std::string& name = checkpoint.schema().tensors[i].name;
    if (!is_chosen(options.tensors, name)) continue;
    for (const LayoutBox& box : layout.tensors[i].boxes) {
      table.add_row({name, std::to_string(box.writer), Box{box.offsets, box.lengths}.text()});
    }
  }
  if (!table.empty()) output.print("\n" + table.render(output.stdout_columns()));
}

static Result<Shown> look(Checkpoint& checkpoint, const ShowOptions& options) {
  Shown shown;
  for (size_t i = 0; i < checkpoint.schema().tensors.size(); ++i) {
    if (!is_chosen(options.tensors, checkpoint.schema().tensors[i].name)) continue;
    CAIRN_TRY(TensorDescription tensor, describe_tensor(checkpoint, i));
    shown.tensors.push_back(std::move(tensor));
  }
  if (shown.tensors.empty() && !options.tensors.empty()) {
    return none_chosen(options.tensors, fmt::format("'{}'", checkpoint.tag().name));
  }
  const auto wants = [&](size_t item) {
    return checkpoint.is_tensor(item) ? is_chosen(options.tensors, checkpoint.item_name(item))
                                      : options.tensors.empty();
  };
  CAIRN_TRY(shown.usage, tag_usage(checkpoint, wants));
  CAIRN_TRY(shown.cost, restore_cost(checkpoint));
  return shown;
}

static Status run(const Context& context, const ShowOptions& options) {
  Output& output = context.output;
  CAIRN_TRY(const auto store, open_store_to_read(context));
  CAIRN_TRY(const TagEntry tag, find_tag(*store, options.tag));
  CAIRN_TRY(const auto checkpoint, open_tag(*store, tag.name));
  CAIRN_TRY(const Layout layout, checkpoint->layout());
  CAIRN_TRY(const Shown shown, look(*checkpoint, options));
  if (output.json()) {
    print_json(output, *checkpoint, layout, shown, options);
  } else if (output.quiet()) {
    for (const TensorDescription& tensor : shown.tensors) output.print(tensor.name + "\n");
  } else {
    print_head(output, *checkpoint, shown.cost);
    const std::string usage = usage_table(shown.usage, output.stdout_columns());
    if (!usage.empty()) output.print("\n" + usage);
    print_tensors(output, shown.tensors);
    if (options.layout) print_boxes(output, *checkpoint, layout, options);
  }
  return {};
}

int cmd_show(const Context& context, const ShowOptions& options) {
  const Status done = run(context, options);
  return done ? kExitOk : context.output.fail(done.error());
}

}  // namespace cairn
