// What a command takes on its command line, as data: one declaration serves the parser, the
// settings (environment and file), the checks and the suggestions. A value reaches its target
// through the same setter wherever it came from, so that it is checked the same way.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace cairn {

using Setter = std::function<Status(const std::string& value)>;

enum class Takes : uint8_t {
  kNothing,        ///< `--force`; its setter gets "true", or the text of `--force=false`
  kOptionalValue,  ///< `--json` or `--json=lines`; its setter gets "true" for the first
  kValue,          ///< `--step 3` or `--step=3`; the last one counts
  kValues,         ///< as kValue, but every one counts
};

struct Flag {
  std::string name;  ///< without the dashes
  char letter = 0;   ///< 0: none
  Takes takes = Takes::kNothing;
  Setter set;
  std::vector<std::string> words = {};  ///< all values there are, where they are few
};

struct Positional {
  std::string name;  ///< as in the synopsis: TAG
  bool required = true;
  bool repeated = false;  ///< takes all that is left; only the last positional may
  Setter set;
};

/// Targets must outlive the set.
class FlagSet {
 public:
  void add(Flag flag) { flags_.push_back(std::move(flag)); }
  void add_positional(Positional positional) { positionals_.push_back(std::move(positional)); }

  /// `--name` sets the target to true.
  void on_off(std::string name, bool* target, char letter = 0);
  void text(std::string name, std::string* target, char letter = 0);
  void texts(std::string name, std::vector<std::string>* target);
  /// `parse` may return any type that can be assigned to the target.
  template <class Target, class Value>
  void value(std::string name, Target* target, Result<Value> (*parse)(std::string_view)) {
    add({std::move(name), 0, Takes::kValue, setter(target, parse)});
  }
  /// Each one is parsed and appended.
  template <class Value>
  void values(std::string name, std::vector<Value>* target,
              Result<Value> (*parse)(std::string_view)) {
    add({std::move(name), 0, Takes::kValues, [target, parse](const std::string& text) -> Status {
           CAIRN_TRY(target->emplace_back(), parse(text));
           return {};
         }});
  }
  /// One of the words given, each with the value it stands for.
  template <class Value>
  void choice(std::string name, Value* target, std::vector<std::pair<std::string, Value>> choices,
              Takes takes = Takes::kValue) {
    std::vector<std::string> words;
    for (const auto& [word, value] : choices) words.push_back(word);
    auto set = [target, words, choices = std::move(choices)](const std::string& text) -> Status {
      for (const auto& [word, value] : choices) {
        if (word == text) return *target = value, Status();
      }
      return fail_choice(text, words);
    };
    add({std::move(name), 0, takes, std::move(set), std::move(words)});
  }

  void positional(std::string name, std::string* target);
  void optional_positional(std::string name, std::string* target);
  void repeated_positional(std::string name, bool required, std::vector<std::string>* target);

  const std::vector<Flag>& flags() const { return flags_; }
  const std::vector<Positional>& positionals() const { return positionals_; }
  /// nullptr when there is none of that name.
  const Flag* find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  static tl::unexpected<Error> fail_choice(const std::string& text,
                                           const std::vector<std::string>& words);
  template <class Target, class Value>
  static Setter setter(Target* target, Result<Value> (*parse)(std::string_view)) {
    return [target, parse](const std::string& text) -> Status {
      CAIRN_TRY(*target, parse(text));
      return {};
    };
  }

  std::vector<Flag> flags_;
  std::vector<Positional> positionals_;
};

}  // namespace cairn
