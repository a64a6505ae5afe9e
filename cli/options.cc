#include "cli/options.h"

#include <fmt/format.h>

#include <cstdint>

#include "base/bytes.h"

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

/// `loss:min:3`; the metric's own name may have colons.
Result<KeepBest> parse_keep_best(std::string_view text) {
  const auto malformed = [&] {
    return fail(Code::kUsage,
                fmt::format("'{}' is not of the form METRIC:min:N or METRIC:max:N", text));
  };
  const size_t last = text.rfind(':');
  if (last == 0 || last == std::string_view::npos) return malformed();
  const size_t middle = text.rfind(':', last - 1);
  if (middle == 0 || middle == std::string_view::npos) return malformed();
  const std::string_view order = text.substr(middle + 1, last - middle - 1);
  if (order != "min" && order != "max") return malformed();
  CAIRN_TRY(const uint64_t count, parse_count(text.substr(last + 1)));
  return KeepBest{std::string(text.substr(0, middle)), order == "max", count};
}

Result<uint32_t> parse_every(std::string_view text) {
  CAIRN_TRY(const uint64_t count, parse_count(text));
  if (count <= 1'000'000) return static_cast<uint32_t>(count);
  return fail(Code::kUsage, fmt::format("'{}' is more tags than a run has", text));
}

// Without a value every byte is read.
Result<double> parse_read_data(std::string_view text) {
  if (text == "true") return 100.0;
  return parse_percent(text);
}

void declare_read_data(FlagSet& flags, std::optional<double>* target) {
  flags.add({"read-data", 0, Takes::kOptionalValue, [target](const std::string& text) -> Status {
               CAIRN_TRY(*target, parse_read_data(text));
               return {};
             }});
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
  flags.value("retry-for", &options.remote.retry_for_s, parse_duration_s);
  flags.on_off("help", &options.help, 'h');
}

void declare(FlagSet& flags, InitOptions& options) {
  flags.optional_positional("DIR", &options.folder);
  flags.value("chunk-elements", &options.chunk_elements, parse_count);
  flags.value("pack-bytes", &options.pack_bytes, parse_size);
}

/// An empty text, as of a variable that is not set, must not become the default unnoticed.
static Result<std::string> parse_base(std::string_view text) {
  if (text.empty()) return fail(Code::kUsage, "must be a tag or 'none'");
  return std::string(text);
}

void declare(FlagSet& flags, ImportOptions& options) {
  flags.positional("TAG", &options.tag);
  flags.repeated_positional("PATH", true, &options.paths);
  flags.values("meta", &options.metadata, parse_key_value);
  flags.values("attach", &options.attachments, parse_key_value);
  flags.on_off("allow-pickle", &options.allow_pickle);
  flags.text("layout", &options.layout);
  flags.value("step", &options.step, parse_step);
  flags.value("base", &options.base, parse_base);
  flags.choice(
      "if-exists", &options.if_exists,
      {{"error", IfExists::kError}, {"same", IfExists::kSame}, {"replace", IfExists::kReplace}});
  flags.text("roles", &options.roles);
  flags.choice(
      "effort", &options.effort,
      {{"fast", Effort::kFast}, {"balanced", Effort::kBalanced}, {"small", Effort::kSmall}});
  flags.value("restore-budget", &options.restore_budget, parse_factor);
  flags.on_off("weights-direct", &options.weights_direct);
  flags.value("weights-every", &options.weights_every, parse_every);
  flags.on_off("pin", &options.pin);
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, ExportOptions& options) {
  flags.positional("TAG", &options.tag);
  flags.positional("PATH", &options.path);
  flags.choice("format", &options.format,
               {{"safetensors", ExportFormat::kSafetensors},
                {"hf", ExportFormat::kHuggingFace},
                {"torch", ExportFormat::kTorch},
                {"dcp", ExportFormat::kDcp}});
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

void declare(FlagSet& flags, ReportOptions& options) {
  flags.text("output", &options.output, 'o');
  flags.optional_positional("PATTERN", &options.pattern);
  flags.on_off("force", &options.force);
}

void declare(FlagSet& flags, TagOptions& options) {
  flags.positional("NEW", &options.new_tag);
  flags.positional("TAG", &options.tag);
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, PinOptions& options) {
  flags.repeated_positional("TAG", true, &options.tags);
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, UnpinOptions& options) {
  declare(flags, static_cast<PinOptions&>(options));
}

void declare(FlagSet& flags, ForgetOptions& options) {
  RetentionPolicy& policy = options.policy;
  flags.repeated_positional("TAG", false, &options.tags);
  flags.value("keep-last", &policy.last, parse_count);
  flags.value("keep-every-steps", &policy.every_steps, parse_count);
  flags.value("keep-within", &policy.within_s, parse_duration_s);
  flags.value("keep-hourly", &policy.hourly, parse_count);
  flags.value("keep-daily", &policy.daily, parse_count);
  flags.value("keep-weekly", &policy.weekly, parse_count);
  flags.value("keep-monthly", &policy.monthly, parse_count);
  flags.values("keep-best", &policy.best, parse_keep_best);
  flags.texts("keep-tag", &policy.tags);
  flags.choice("group-by", &policy.group_by_prefix, {{"prefix", true}, {"none", false}});
  flags.on_off("allow-newest", &options.allow_newest);
  flags.on_off("allow-pinned", &options.allow_pinned);
  flags.texts("drop", &options.drop);
  flags.on_off("gc", &options.gc);
  flags.on_off("dry-run", &options.dry_run);
  flags.on_off("yes", &options.yes, 'y');
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, GcOptions& options) {
  flags.value("max-repack-bytes", &options.max_repack_bytes, parse_size);
  flags.value("min-dead", &options.min_dead_percent, parse_dead_percent);
  flags.value("reader-grace", &options.reader_grace_s, parse_duration_s);
  flags.on_off("rebase", &options.rebase);
  flags.on_off("dry-run", &options.dry_run);
  flags.on_off("yes", &options.yes, 'y');
  declare_wait(flags, &options.wait_s);
}

static Result<unsigned> parse_connections(std::string_view text) {
  constexpr uint64_t kMost = 1024;
  CAIRN_TRY(const uint64_t count, parse_count(text));
  if (count >= 1 && count <= kMost) return static_cast<unsigned>(count);
  return fail(Code::kUsage, fmt::format("'{}' is no number of connections: 1 to {}", text, kMost));
}

static Result<uint64_t> parse_rate(std::string_view text) {
  CAIRN_TRY(const uint64_t rate, parse_size(text));
  if (rate >= kKiB) return rate;
  return fail(Code::kUsage, fmt::format("'{}' is no rate: bytes a second, 1K or more", text));
}

static Result<uint64_t> parse_memory(std::string_view text) {
  CAIRN_TRY(const uint64_t bytes, parse_size(text));
  if (bytes >= kMiB) return bytes;
  return fail(Code::kUsage, fmt::format("'{}' is too little memory: at least 1MiB", text));
}

static void declare_transfer(FlagSet& flags, TransferOptions& options) {
  flags.positional("URL", &options.url);
  flags.repeated_positional("TAG", false, &options.tags);
  flags.on_off("all", &options.all);
  flags.value("connections", &options.connections, parse_connections);
  flags.value("rate", &options.rate, parse_rate);
  flags.value("memory", &options.memory_bytes, parse_memory);
  flags.texts("tensors", &options.tensors);
  flags.text("as", &options.as);
  flags.on_off("rebase", &options.rebase);
  flags.on_off("dry-run", &options.dry_run);
  flags.choice(
      "if-exists", &options.if_exists,
      {{"error", IfExists::kError}, {"same", IfExists::kSame}, {"replace", IfExists::kReplace}});
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, PushOptions& options) { declare_transfer(flags, options); }

/// "2/4": the second of four.
static Result<Share> parse_share(std::string_view text) {
  constexpr uint64_t kMost = 1'000'000;
  const size_t slash = std::min(text.find('/'), text.size());
  const auto number = parse_count(text.substr(0, slash));
  const auto count = parse_count(text.substr(std::min(slash + 1, text.size())));
  if (number && count && *number >= 1 && *number <= *count && *count <= kMost) {
    return Share{static_cast<uint32_t>(*number - 1), static_cast<uint32_t>(*count)};
  }
  return fail(Code::kUsage, fmt::format("'{}' is no share", text), "say '2/4' for the second of 4");
}

void declare(FlagSet& flags, PullOptions& options) {
  declare_transfer(flags, options);
  flags.value("share", &options.share, parse_share);
}

void declare(FlagSet& flags, RemoteTestOptions& options) {
  flags.positional("test", &options.what);
  flags.positional("URL", &options.url);
  flags.on_off("read-only", &options.read_only);
}

void declare(FlagSet& flags, CheckOptions& options) {
  flags.texts("tag", &options.tags);
  declare_read_data(flags, &options.read_data_percent);
  flags.value("time-limit", &options.time_limit_s, parse_duration_s);
  flags.on_off("resume", &options.resume);
}

void declare(FlagSet& flags, RepairOptions& options) {
  flags.positional("index|tags", &options.what);
  declare_read_data(flags, &options.read_data_percent);
  flags.on_off("dry-run", &options.dry_run);
  flags.on_off("yes", &options.yes, 'y');
  declare_wait(flags, &options.wait_s);
}

void declare(FlagSet& flags, CompletionOptions& options) {
  flags.positional("bash|zsh|fish", &options.shell);
}

void declare(FlagSet& flags, CompleteOptions& options) {
  flags.repeated_positional("WORD", false, &options.words);
}

void declare(FlagSet&, VersionOptions&) {}

void declare(FlagSet&, IndexOptions&) {}

void declare(FlagSet& flags, HelpOptions& options) {
  flags.optional_positional("COMMAND", &options.command);
}

}  // namespace cairn
