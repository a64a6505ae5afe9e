#include "cli/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/parse.h"
#include "base/suggest.h"

namespace cairn {
namespace {

Setter assign(std::string* target) {
  return [target](const std::string& text) -> Status { return *target = text, Status(); };
}

Setter append(std::vector<std::string>* target) {
  return [target](const std::string& text) -> Status { return target->push_back(text), Status(); };
}

}  // namespace

void FlagSet::on_off(std::string name, bool* target, char letter) {
  add({std::move(name), letter, Takes::kNothing, setter(target, parse_bool)});
}

void FlagSet::text(std::string name, std::string* target, char letter) {
  add({std::move(name), letter, Takes::kValue, assign(target)});
}

void FlagSet::texts(std::string name, std::vector<std::string>* target) {
  add({std::move(name), 0, Takes::kValues, append(target)});
}

void FlagSet::positional(std::string name, std::string* target) {
  add_positional({std::move(name), true, false, assign(target)});
}

void FlagSet::optional_positional(std::string name, std::string* target) {
  add_positional({std::move(name), false, false, assign(target)});
}

void FlagSet::repeated_positional(std::string name, bool required,
                                  std::vector<std::string>* target) {
  add_positional({std::move(name), required, true, append(target)});
}

const Flag* FlagSet::find(std::string_view name) const {
  for (const Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

std::vector<std::string> FlagSet::names() const {
  std::vector<std::string> names;
  for (const Flag& flag : flags_) names.push_back(flag.name);
  return names;
}

tl::unexpected<Error> FlagSet::fail_choice(const std::string& text,
                                           const std::vector<std::string>& words) {
  return fail(Code::kUsage, fmt::format("'{}' is not one of {}", text, fmt::join(words, ", ")),
              did_you_mean(text, words));
}

}  // namespace cairn
