#include "cli/options.h"

#include <fmt/format.h>

#include <cstdint>

namespace cairn {
namespace {

void declare_wait(FlagSet& flags, uint64_t* wait_s) {
  flags.value("wait", wait_s, parse_duration_s);
}

Result<uint64_t> parse_step(std::string_view text) {
  CAIRN_TRY(const uint64_t step, parse_count(text));
  if (step > INT64_MAX) {
    return fail(Code::kUsage, fmt::format("'{}' is no step: the largest is {}", text, INT64_MAX));
  }
  return step;
}

// Without a value every byte is read.
Result<double> parse_read_data(std::string_view text) {
  if (text == "true") return 100.0;
  return parse_percent(text);
}

}  // namespace

void declare(FlagSet& flags, GlobalOptions& options) {
  flags.text("store", &options.store, 's');
  flags.choice("json", &options.json,
               {{"lines", JsonMode::kLines},
                {"true", JsonMode::kDocument},
                {"1", JsonMode::kDocument},
                {"false", JsonMode::kNone},
                {"0", JsonMode::kNone}},
               Takes::kOptionalValue);
  flags.on_off("quiet", &options.quiet, 'q');
  flags.add({"verbose", 'v', Takes::kNothing, [&options](const std::string& text) -> Status {
               CAIRN_TRY(const bool more, parse_bool(text));
               options.verbosity = more ? options.verbosity + 1 : 0;
               return {};
             }});
  flags.choice("progress", &options.progress,
               {{"auto", ProgressMode::kAuto},
                {"plain", ProgressMode::kPlain},
                {"none", ProgressMode::kNone}});
  flags.on_off("help", &options.help, 'h');
}

void declare(FlagSet& flags, InitOptions& options) {
  flags.optional_positional("DIR", &options.folder);
  flags.value("chunk-elements", &options.chunk_elements, parse_count);
  flags.value("pack-bytes", &options.pack_bytes, parse_size);
}

void declare(FlagSet& flags, ImportOptions& options) {
  flags.positional("TAG", &options.tag);
  flags.repeated_positional("PATH", true, &options.paths);
  flags.values("meta", &options.metadata, parse_key_value);
  flags.values("attach", &options.attachments, parse_key_value);
  flags.value("step", &options.step, parse_step);
  flags.text("base", &options.base);
  flags.choice(
      "if-exists", &options.if_exists,
      {{"error", IfExists::kError}, {"same", IfExists::kSame}, {"replace", IfExists::kReplace}});
  flags.text("roles", &options.roles);
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, ExportOptions& options) {
  flags.positional("TAG", &options.tag);
  flags.positional("PATH", &options.path);
  flags.choice("format", &options.format,
               {{"safetensors", ExportFormat::kSafetensors}, {"hf", ExportFormat::kHuggingFace}});
  flags.texts("tensors", &options.tensors);
  flags.text("dtype", &options.dtype);
  flags.values("rename", &options.renames, parse_key_value);
  flags.value("max-shard-size", &options.shard_bytes_max, parse_size);
  flags.on_off("force", &options.force);
}

void declare(FlagSet& flags, LsOptions& options) {
  flags.optional_positional("PATTERN", &options.pattern);
  flags.choice("sort", &options.sort,
               {{"newest", LsSort::kNewest},
                {"oldest", LsSort::kOldest},
                {"name", LsSort::kName},
                {"step", LsSort::kStep},
                {"size", LsSort::kSize},
                {"new", LsSort::kNew}});
  flags.value("limit", &options.limit, parse_count);
  flags.on_off("exclusive", &options.exclusive);
}

void declare(FlagSet& flags, ShowOptions& options) {
  flags.positional("TAG", &options.tag);
  flags.texts("tensors", &options.tensors);
  flags.on_off("layout", &options.layout);
}

void declare(FlagSet& flags, DiffOptions& options) {
  flags.positional("A", &options.a);
  flags.positional("B", &options.b);
  flags.texts("tensors", &options.tensors);
  flags.on_off("elements", &options.elements);
  flags.on_off("exit-code", &options.exit_code);
}

void declare(FlagSet& flags, CatOptions& options) {
  flags.positional("TAG", &options.tag);
  flags.positional("NAME", &options.name);
  flags.value("box", &options.box, parse_box);
  flags.on_off("attachment", &options.attachment);
}

void declare(FlagSet&, StatsOptions&) {}

void declare(FlagSet& flags, TagOptions& options) {
  flags.positional("NEW", &options.new_tag);
  flags.positional("TAG", &options.tag);
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, CheckOptions& options) {
  flags.texts("tag", &options.tags);
  flags.add({"read-data", 0, Takes::kOptionalValue, [&options](const std::string& text) -> Status {
               CAIRN_TRY(options.read_data_percent, parse_read_data(text));
               return {};
             }});
  flags.value("time-limit", &options.time_limit_s, parse_duration_s);
}

void declare(FlagSet&, VersionOptions&) {}

void declare(FlagSet&, IndexOptions&) {}

void declare(FlagSet& flags, HelpOptions& options) {
  flags.optional_positional("COMMAND", &options.command);
}

}  // namespace cairn
