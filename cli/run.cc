#include "cli/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>

#include "base/memory_guard.h"
#include "base/parse.h"
#include "base/suggest.h"
#include "cli/exit_codes.h"
#include "cli/help.h"
#include "cli/parser.h"
#include "cli/signals.h"

namespace cairn {
namespace {

/// A command line cut at the command's name.
struct Split {
  std::optional<std::string> command;
  std::vector<std::string> rest;  ///< all other words, in order
  size_t before = 0;              ///< how many of them stood before the command
};

/// Whether the value of a flag is the word behind it.
bool takes_next(const FlagSet& flags, const std::string& word) {
  return std::any_of(flags.flags().begin(), flags.flags().end(), [&](const Flag& flag) {
    const bool is_this =
        word == "--" + flag.name || (flag.letter != 0 && word == std::string("-") + flag.letter);
    return is_this && (flag.takes == Takes::kValue || flag.takes == Takes::kValues);
  });
}

// The first word that is neither a flag nor the value of a global flag before it.
Split split_command(const std::vector<std::string>& words) {
  FlagSet globals;
  GlobalOptions unused;
  declare(globals, unused);
  Split split;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool is_flag = word.size() > 1 && word.front() == '-';
    if (!is_flag) {
      split.command = word;
      split.before = split.rest.size();
      split.rest.insert(split.rest.end(), words.begin() + static_cast<ptrdiff_t>(i) + 1,
                        words.end());
      return split;
    }
    split.rest.push_back(word);
    if (takes_next(globals, word) && i + 1 < words.size()) split.rest.push_back(words[++i]);
  }
  return split;
}

bool holds_before_dashes(const std::vector<std::string>& words, std::string_view a,
                         std::string_view b) {
  const auto stop = std::find(words.begin(), words.end(), "--");
  return std::any_of(words.begin(), stop,
                     [&](const std::string& word) { return word == a || word == b; });
}

// How to print errors that come before the options are known.
JsonMode guess_json(const std::vector<std::string>& words, const Environment& environment) {
  if (holds_before_dashes(words, "--json=lines", "--json=lines")) return JsonMode::kLines;
  if (holds_before_dashes(words, "--json", "--json=true")) return JsonMode::kDocument;
  const auto variable = environment("CAIRN_JSON");
  if (!variable || *variable == "0" || *variable == "false") return JsonMode::kNone;
  return *variable == "lines" ? JsonMode::kLines : JsonMode::kDocument;
}

const Command* find_command(std::span<const Command> commands, std::string_view name) {
  for (const Command& command : commands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

/// What other programs call it.
std::string_view known_elsewhere_as(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"rm", "forget"},      {"remove", "forget"},   {"delete", "forget"},   {"prune", "gc"},
      {"restore", "export"}, {"checkout", "export"}, {"download", "export"}, {"list", "ls"},
      {"snapshots", "ls"},   {"tags", "ls"},         {"log", "ls"},          {"backup", "import"},
      {"add", "import"},     {"save", "import"},     {"info", "show"},       {"verify", "check"},
      {"fsck", "check"},     {"du", "stats"}};
  for (const auto& [other, ours] : kNames) {
    if (other == name) return ours;
  }
  return "";
}

Error unknown_command(std::span<const Command> commands, const std::string& name) {
  const std::string_view ours = known_elsewhere_as(name);
  if (find_command(commands, ours) != nullptr) {
    return {Code::kUsage, fmt::format("unknown command '{}'", name),
            fmt::format("here it is called '{}'", ours)};
  }
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (!command.is_hidden()) names.push_back(command.name);
  }
  const std::string near = did_you_mean(name, names);
  return {Code::kUsage, fmt::format("unknown command '{}'", name),
          near.empty() ? "'cairn --help' lists the commands" : near};
}

// A flag of a command, or a misspelt one, before the command makes its value look like the command.
Status check_global_flags(const std::vector<std::string>& words) {
  FlagSet flags;
  GlobalOptions unused;
  declare(flags, unused);
  CAIRN_TRY(const ParsedWords parsed, parse_words(flags, words));
  return set_from_words(flags, parsed);
}

Error with_usage(Error error, const std::string& command) {
  if (error.code == Code::kUsage && error.hint.empty())
    error.hint = fmt::format("see 'cairn help {}'", command);
  return error;
}

/// The options of one call, filled.
struct Prepared {
  GlobalOptions global;
  std::function<int(const Context&)> run;
  std::vector<std::string> warnings;
};

KnownFlags known_flags(std::span<const Command> commands) {
  KnownFlags known;
  for (const Command& command : commands) {
    if (command.is_hidden()) continue;
    FlagSet flags;
    GlobalOptions unused;
    declare(flags, unused);
    const auto run = command.prepare(flags);
    known[command.name] = flags.names();
  }
  return known;
}

Result<std::unique_ptr<Prepared>> prepare(std::span<const Command> commands, const Command& command,
                                          const std::vector<std::string>& words,
                                          const Environment& environment) {
  auto prepared = std::make_unique<Prepared>();
  FlagSet flags;
  declare(flags, prepared->global);
  prepared->run = command.prepare(flags);
  CAIRN_TRY(const ParsedWords parsed, parse_words(flags, words));
  // Help is what someone with a broken settings file asks for, and a shell starts all the same.
  const bool is_sturdy = command.is_hidden() || command.name == "help" ||
                         command.name == "version" || command.name == "completion";
  auto settings = read_settings_file(environment);
  if (!settings && !is_sturdy) return tl::unexpected(settings.error());
  const SettingsFile file = settings ? *std::move(settings) : SettingsFile();
  CAIRN_CHECK(set_from_settings(flags, parsed, command.name, environment, file));
  CAIRN_CHECK(set_from_words(flags, parsed));
  if (!is_sturdy)
    prepared->warnings = settings_warnings(flags, command.name, known_flags(commands), file);
  CAIRN_TRY(prepared->global.store, parse_store(prepared->global.store));
  if (command.needs == Needs::kStore && prepared->global.store.empty())
    return fail(Code::kUsage, "no store is named",
                "name one by --store DIR or by the environment variable CAIRN_STORE; "
                "'cairn init DIR' makes one");
  return prepared;
}

int run_prepared(const Prepared& prepared, std::span<const Command> commands,
                 const Surroundings& surroundings) {
  const GlobalOptions& global = prepared.global;
  Output output({surroundings.stdout_fd, surroundings.stderr_fd, global.json, global.quiet,
                 global.verbosity});
  for (const std::string& warning : prepared.warnings) output.warn(warning);
  const Context context{output,        global.store, global.progress,
                        global.remote, stop_flag(),  commands};
  // Cairn's own code returns its errors; the standard library may still throw, for lack of memory.
  try {
    const Result<int> status = guard_memory([&]() -> Result<int> { return prepared.run(context); });
    return output.finish(status ? *status : output.fail(status.error()));
  } catch (const std::exception& error) {
    return output.finish(output.fail(
        {Code::kBug, fmt::format("the command ended by an exception: {}", error.what()), ""}));
  }
}

}  // namespace

int run(std::span<const Command> commands, const std::vector<std::string>& words,
        const Surroundings& surroundings) {
  const Split split = split_command(words);
  const JsonMode json = guess_json(words, surroundings.environment);
  Output early({surroundings.stdout_fd, surroundings.stderr_fd, json, false, 0});
  const auto say = [&](Error error) { return early.finish(early.fail(error)); };
  const auto instead = [&](std::vector<std::string> other) {
    if (json != JsonMode::kNone)
      other.push_back(json == JsonMode::kLines ? "--json=lines" : "--json");
    return run(commands, other, surroundings);
  };
  const bool wants_help = holds_before_dashes(split.rest, "--help", "-h");

  if (!split.command) {
    if (holds_before_dashes(split.rest, "--version", "--version")) return instead({"version"});
    if (wants_help) return instead({"help"});
    if (const Status good = check_global_flags(split.rest); !good) return say(good.error());
    if (json != JsonMode::kNone)
      return say({Code::kUsage, "no command is named", "'cairn --help' lists the commands"});
    early.status_line(overview(commands));
    return kExitUsage;
  }
  const Command* command = find_command(commands, *split.command);
  if (command == nullptr) {
    const std::vector<std::string> before(
        split.rest.begin(), split.rest.begin() + static_cast<ptrdiff_t>(split.before));
    const Status good = check_global_flags(before);
    return say(good ? unknown_command(commands, *split.command) : good.error());
  }
  if (wants_help && command->name != "help") return instead({"help", command->name});

  const auto prepared = prepare(commands, *command, split.rest, surroundings.environment);
  if (!prepared) return say(with_usage(prepared.error(), command->name));
  return run_prepared(**prepared, commands, surroundings);
}

}  // namespace cairn
