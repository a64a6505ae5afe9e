#include "lib/tensor_names.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace cairn {

/// std::regex recurses once for each byte it matches, through up to 2 KiB of stack.
static constexpr size_t kMatchedBytesMax = 1024;

Result<Renamer> Renamer::compile(const std::vector<Rename>& renames) {
  Renamer renamer;
  for (const Rename& rename : renames) {
    try {
      renamer.steps_.emplace_back(std::regex(rename.pattern), rename.replacement);
    } catch (const std::regex_error& error) {
      return fail(Code::kUsage,
                  fmt::format("'{}' is no regular expression: {}", rename.pattern, error.what()));
    }
  }
  return renamer;
}

Result<std::string> Renamer::apply(std::string name) const {
  try {
    for (const auto& [pattern, replacement] : steps_) {
      if (name.size() > kMatchedBytesMax) {
        return fail(Code::kUsage,
                    fmt::format("a name of {} bytes is too long for a pattern: '{}'...",
                                name.size(), shown(name.substr(0, 40))));
      }
      name = std::regex_replace(name, pattern, replacement);
    }
  } catch (const std::regex_error& error) {
    return fail(Code::kUsage,
                fmt::format("a pattern is too hard to match with '{}': {}", name, error.what()));
  }
  return name;
}

Result<TensorNames> TensorNames::of(const Checkpoint& checkpoint,
                                    const std::vector<Rename>& renames) {
  TensorNames names(checkpoint);
  if (renames.empty()) return names;
  names.renamed_.emplace();
  CAIRN_TRY(const Renamer renamer, Renamer::compile(renames));
  const auto& tensors = checkpoint.schema().tensors;
  for (size_t number = 0; number < tensors.size(); ++number) {
    CAIRN_TRY(const std::string name, renamer.apply(tensors[number].name));
    const auto [at, fresh] = names.renamed_->try_emplace(name, number);
    if (fresh) continue;
    return fail(Code::kUsage, fmt::format("'{}' and '{}' would both be called '{}'",
                                          tensors[at->second].name, tensors[number].name, name));
  }
  return names;
}

std::optional<size_t> TensorNames::find(const std::string& name) const {
  if (!renamed_) return checkpoint_->find_tensor(name);
  const auto found = renamed_->find(name);
  return found == renamed_->end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> TensorNames::all() const {
  std::vector<std::string> names;
  if (renamed_) {
    for (const auto& [name, number] : *renamed_) names.push_back(name);
  } else {
    for (const TensorInfo& tensor : checkpoint_->schema().tensors) names.push_back(tensor.name);
  }
  return names;
}

Result<std::string> apply_renames(std::string name, const std::vector<Rename>& renames) {
  CAIRN_TRY(const Renamer renamer, Renamer::compile(renames));
  return renamer.apply(std::move(name));
}

}  // namespace cairn
