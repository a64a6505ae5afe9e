#include "cli/parser.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/suggest.h"

namespace cairn {
namespace {

bool takes_value(const Flag& flag) {
  return flag.takes == Takes::kValue || flag.takes == Takes::kValues;
}

std::string dashed(const Flag& flag) {
  return flag.letter == 0 ? "--" + flag.name : fmt::format("-{},--{}", flag.letter, flag.name);
}

// `--name=` and `--name=[a]` have meanings of their own in CLI11; as two words they have none.
std::vector<std::string> split_values(const FlagSet& flags, const std::vector<std::string>& words) {
  std::vector<std::string> split;
  bool only_positionals = false;
  for (const std::string& word : words) {
    only_positionals = only_positionals || word == "--";
    const size_t equals = word.find('=');
    const bool has_value =
        !only_positionals && word.starts_with("--") && equals != std::string::npos;
    const Flag* flag = has_value ? flags.find(word.substr(2, equals - 2)) : nullptr;
    if (flag != nullptr && takes_value(*flag)) {
      split.push_back(word.substr(0, equals));
      split.push_back(word.substr(equals + 1));
    } else {
      split.push_back(word);
    }
  }
  return split;
}

tl::unexpected<Error> fail_unknown_flag(const FlagSet& flags, const std::string& word) {
  if (!word.starts_with("--")) return fail(Code::kUsage, fmt::format("unknown flag '{}'", word));
  const std::string name = word.substr(2, word.find('=') - 2);
  return fail(Code::kUsage, fmt::format("unknown flag '--{}'", name),
              did_you_mean(name, flags.names(), "--"));
}

// What CLI11 did not take: flags it does not know, and positionals.
Status take_rest(const FlagSet& flags, const std::vector<std::string>& rest, ParsedWords& parsed) {
  bool only_positionals = false;
  for (const std::string& word : rest) {
    if (!only_positionals && word == "--") {
      only_positionals = true;
    } else if (!only_positionals && word.size() > 1 && word.front() == '-') {
      return fail_unknown_flag(flags, word);
    } else {
      parsed.positionals.push_back(word);
    }
  }
  return {};
}

Status from(const std::string& where, Status status) {
  if (status) return status;
  Error error = std::move(status).error();
  error.message = where + ": " + error.message;
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace

Result<ParsedWords> parse_words(const FlagSet& flags, const std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<CLI::Option*> options;
  for (const Flag& flag : flags.flags()) {
    CLI::Option* option =
        takes_value(flag) ? app.add_option(dashed(flag))->expected(1) : app.add_flag(dashed(flag));
    options.push_back(
        option->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
  }
  std::vector<std::string> reversed = split_values(flags, words);
  std::reverse(reversed.begin(), reversed.end());
  try {
    app.parse(reversed);
  } catch (const CLI::ArgumentMismatch& mismatch) {
    return fail(Code::kUsage,
                fmt::format("flag '{}' needs a value", words.empty() ? "" : words.back()));
  } catch (const CLI::Error& error) {
    return fail(Code::kUsage, error.what());
  }
  ParsedWords parsed;
  for (size_t i = 0; i < options.size(); ++i) {
    if (options[i]->count() > 0) parsed.flags[flags.flags()[i].name] = options[i]->results();
  }
  CAIRN_CHECK(take_rest(flags, app.remaining(), parsed));
  return parsed;
}

Status set_from_words(const FlagSet& flags, const ParsedWords& parsed) {
  for (const Flag& flag : flags.flags()) {
    const auto given = parsed.flags.find(flag.name);
    if (given == parsed.flags.end()) continue;
    for (const std::string& value : given->second)
      CAIRN_CHECK(from("flag '--" + flag.name + "'", flag.set(value)));
  }
  size_t next = 0;
  for (const Positional& positional : flags.positionals()) {
    if (next == parsed.positionals.size() && positional.required)
      return fail(Code::kUsage, fmt::format("{} is missing", positional.name));
    const size_t stop = positional.repeated ? parsed.positionals.size()
                                            : std::min(next + 1, parsed.positionals.size());
    for (; next < stop; ++next)
      CAIRN_CHECK(from(positional.name, positional.set(parsed.positionals[next])));
  }
  if (next < parsed.positionals.size())
    return fail(Code::kUsage, fmt::format("unexpected argument '{}'", parsed.positionals[next]));
  return {};
}

}  // namespace cairn
