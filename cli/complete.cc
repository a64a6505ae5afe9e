#include "cli/complete.h"

#include <algorithm>
#include <cctype>

#include "cli/help.h"

namespace cairn {
namespace {

/// What a value of this name is: from the synopsis for arguments, from the flag's own name.
enum class Kind : uint8_t { kOther, kTag, kFile, kFolder, kCommand };

Kind kind_of(std::string_view name) {
  constexpr std::string_view kTags[] = {"TAG", "A", "B", "NEW", "tag", "base"};
  constexpr std::string_view kFiles[] = {"PATH", "FILE", "output", "roles", "attach"};
  constexpr std::string_view kFolders[] = {"DIR", "store"};
  const auto is_in = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (name == "COMMAND") return Kind::kCommand;
  if (is_in(kTags)) return Kind::kTag;
  if (is_in(kFiles)) return Kind::kFile;
  return is_in(kFolders) ? Kind::kFolder : Kind::kOther;
}

bool takes_value(const Flag& flag) {
  return flag.takes == Takes::kValue || flag.takes == Takes::kValues;
}

class Completer {
 public:
  Completer(std::span<const Command> commands, const ListTags& list_tags)
      : commands_(commands), list_tags_(list_tags) {
    declare(flags_, globals_);
  }

  Completions run(const std::vector<std::string>& words) {
    const Flag* open = nullptr;  // a flag whose value comes next
    for (size_t i = 0; i + 1 < words.size(); ++i) open = pass(words[i], open);
    typed_ = words.back();
    if (open != nullptr) {
      offer_value(*open);
    } else if (typed_.starts_with("--") && typed_.find('=') != std::string::npos) {
      offer_value_behind_equals();
    } else if (typed_.starts_with('-') && !only_arguments_) {
      for (const Flag& flag : flags_.flags()) offer("--" + flag.name);
    } else if (command_ == nullptr) {
      offer_commands();
    } else {
      offer_argument();
    }
    std::sort(found_.words.begin(), found_.words.end());
    return std::move(found_);
  }

 private:
  /// Takes in a word that is complete; returns the flag whose value must follow it.
  const Flag* pass(const std::string& word, const Flag* open) {
    if (open != nullptr) {
      if (open->name == "store") store_ = word;
      return nullptr;
    }
    if (!only_arguments_ && word.starts_with('-') && word.size() > 1) return pass_flag(word);
    if (command_ == nullptr) {
      const auto named = std::find_if(commands_.begin(), commands_.end(),
                                      [&](const Command& each) { return each.name == word; });
      if (named == commands_.end()) return nullptr;
      command_ = &*named;
      run_ = command_->prepare(flags_);
      return nullptr;
    }
    if (arguments_++ == 0) url_ = word;
    return nullptr;
  }

  const Flag* pass_flag(const std::string& word) {
    only_arguments_ = word == "--";
    const size_t equals = word.find('=');
    if (equals != std::string::npos) {
      if (word.substr(0, equals) == "--store") store_ = word.substr(equals + 1);
      return nullptr;
    }
    for (const Flag& flag : flags_.flags()) {
      const bool is_this =
          word == "--" + flag.name || (flag.letter != 0 && word == std::string("-") + flag.letter);
      if (is_this && takes_value(flag)) return &flag;
    }
    return nullptr;
  }

  void offer(const std::string& word) {
    if (word.starts_with(typed_)) found_.words.push_back(word);
  }

  void offer_commands() {
    for (const Command& command : commands_) {
      if (!command.is_hidden()) offer(command.name);
    }
  }

  void offer_kind(Kind kind) {
    if (kind == Kind::kCommand) offer_commands();
    if (kind == Kind::kFile) found_.paths = CompletePaths::kFiles;
    if (kind == Kind::kFolder) found_.paths = CompletePaths::kFolders;
    if (kind != Kind::kTag) return;
    // What is pulled are tags of the other store.
    const bool comes = command_ != nullptr && command_->name == "pull";
    for (const std::string& tag : list_tags_(comes ? url_ : store_)) offer(tag);
  }

  void offer_value(const Flag& flag) {
    // That a flag without a value is on or off needs no offer.
    const bool may_be_bare = flag.takes == Takes::kOptionalValue;
    for (const std::string& word : flag.words) {
      const bool is_switch = word == "true" || word == "false" || word == "1" || word == "0";
      if (!may_be_bare || !is_switch) offer(word);
    }
    if (flag.words.empty()) offer_kind(kind_of(flag.name));
  }

  void offer_value_behind_equals() {
    const size_t equals = typed_.find('=');
    const Flag* flag = flags_.find(typed_.substr(2, equals - 2));
    if (flag == nullptr) return;
    const std::string flag_and_equals = typed_.substr(0, equals + 1);
    typed_ = typed_.substr(equals + 1);
    offer_value(*flag);
    for (std::string& word : found_.words) word = flag_and_equals + word;
  }

  void offer_argument() {
    const auto& positionals = flags_.positionals();
    if (positionals.empty()) return;
    const bool is_beyond = arguments_ >= positionals.size();
    if (is_beyond && !positionals.back().repeated) return;
    const std::string& name = positionals[is_beyond ? positionals.size() - 1 : arguments_].name;
    // Words to be typed as they are: `test`, `index|tags`.
    const bool is_spelt = std::islower(static_cast<unsigned char>(name.front())) != 0;
    for (size_t begin = 0; is_spelt && begin < name.size();) {
      const size_t end = std::min(name.find('|', begin), name.size());
      offer(name.substr(begin, end - begin));
      begin = end + 1;
    }
    offer_kind(kind_of(name));
  }

  std::span<const Command> commands_;
  const ListTags& list_tags_;
  GlobalOptions globals_;
  FlagSet flags_;
  const Command* command_ = nullptr;
  std::function<int(const Context&)> run_;  // keeps alive what flags_ points into
  std::string store_, url_, typed_;         // url_: the first argument
  size_t arguments_ = 0;
  bool only_arguments_ = false;
  Completions found_;
};

}  // namespace

Completions complete(std::span<const Command> commands, const std::vector<std::string>& words,
                     const ListTags& list_tags) {
  return Completer(commands, list_tags).run(words);
}

}  // namespace cairn
