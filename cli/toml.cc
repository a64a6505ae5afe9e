#include "cli/toml.h"

#include <fmt/format.h>

#include <algorithm>

namespace cairn {
namespace {

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

class TomlReader {
 public:
  TomlReader(std::string_view text, std::string_view path) : rest_(text), path_(path) {}

  Result<std::vector<TomlEntry>> read() {
    std::string table;
    for (skip_blank(true); !rest_.empty(); skip_blank(true)) {
      if (take('[')) {
        skip_blank(false);
        CAIRN_TRY(table, name());
        skip_blank(false);
        if (!take(']')) return failure("a table is written [name]");
      } else {
        CAIRN_TRY(TomlEntry entry, key_and_values());
        entry.table = table;
        CAIRN_CHECK(check_new(entry));
        entries_.push_back(std::move(entry));
      }
      skip_blank(false);
      if (!rest_.empty() && rest_.front() != '\n') return failure("the line goes on after its end");
    }
    return std::move(entries_);
  }

 private:
  tl::unexpected<Error> failure(std::string_view why) const {
    return fail(Code::kUsage, fmt::format("cannot read '{}', line {}: {}", path_, line_, why));
  }

  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    if (c == '\n') ++line_;
    rest_.remove_prefix(1);
    return true;
  }

  void skip_blank(bool over_lines) {
    while (true) {
      if (take(' ') || take('\t') || take('\r') || (over_lines && take('\n'))) continue;
      if (rest_.empty() || rest_.front() != '#') return;
      rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
    }
  }

  std::string bare(std::string_view also = "") {
    size_t size = 0;
    while (size < rest_.size() &&
           (is_bare(rest_[size]) || also.find(rest_[size]) != std::string_view::npos))
      ++size;
    const std::string word(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return word;
  }

  Result<std::string> name() {
    if (rest_.starts_with('"') || rest_.starts_with('\'')) return quoted();
    std::string word = bare();
    if (word.empty()) return failure("a name is missing");
    return word;
  }

  Result<std::string> quoted() {
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    std::string text;
    while (!rest_.empty() && rest_.front() != '\n') {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == quote) return text;
      if (c == '\\' && quote == '"') {
        CAIRN_TRY(c, escaped());
      }
      text += c;
    }
    return failure("a string does not end on its line");
  }

  Result<char> escaped() {
    constexpr std::string_view kLetters = "\"\\nt", kMeanings = "\"\\\n\t";
    const size_t which = rest_.empty() ? std::string_view::npos : kLetters.find(rest_.front());
    if (which == std::string_view::npos)
      return failure("of the escapes only \\\" \\\\ \\n \\t are known");
    rest_.remove_prefix(1);
    return kMeanings[which];
  }

  Result<std::string> scalar() {
    if (rest_.starts_with('"') || rest_.starts_with('\'')) return quoted();
    const std::string word = bare(".+");
    const bool number =
        !word.empty() && word.find_first_not_of("0123456789.+-_") == std::string::npos;
    if (!number && word != "true" && word != "false")
      return failure("a value is a \"string\", a number, true, false or an [array] of these");
    std::string digits = word;
    digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
    return digits;
  }

  Result<TomlEntry> key_and_values() {
    TomlEntry entry;
    entry.line = line_;
    CAIRN_TRY(entry.key, name());
    skip_blank(false);
    if (!take('=')) return failure(fmt::format("'=' is missing after '{}'", entry.key));
    skip_blank(false);
    if (!take('[')) {
      CAIRN_TRY(entry.values.emplace_back(), scalar());
      return entry;
    }
    for (skip_blank(true); !take(']'); skip_blank(true)) {
      CAIRN_TRY(entry.values.emplace_back(), scalar());
      skip_blank(true);
      if (!take(',') && !rest_.starts_with(']')) return failure("',' or ']' is missing");
    }
    return entry;
  }

  Status check_new(const TomlEntry& entry) const {
    const bool known = std::any_of(entries_.begin(), entries_.end(), [&](const TomlEntry& other) {
      return other.table == entry.table && other.key == entry.key;
    });
    if (known) return failure(fmt::format("'{}' is there twice", entry.key));
    return {};
  }

  std::string_view rest_;
  const std::string_view path_;
  size_t line_ = 1;
  std::vector<TomlEntry> entries_;
};

}  // namespace

Result<std::vector<TomlEntry>> parse_toml(std::string_view text, std::string_view path) {
  return TomlReader(text, path).read();
}

}  // namespace cairn
