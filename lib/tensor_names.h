// A checkpoint's tensors by the names that a caller knows them by.
#pragma once

#include <map>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/cairn.hpp"
#include "store/checkpoint.h"

namespace cairn {

/// Renames with their patterns compiled. Threads: any.
class Renamer {
 public:
  /// Errors: kUsage for what is no regular expression.
  static Result<Renamer> compile(const std::vector<Rename>& renames);

  /// Errors: kUsage when a name is too long, or a pattern too hard, to be matched.
  Result<std::string> apply(std::string name) const;

 private:
  std::vector<std::pair<std::regex, std::string>> steps_;
};

/// Without renames nothing is built: the checkpoint finds its own names. Threads: any.
class TensorNames {
 public:
  /// Errors: kUsage, as Renamer's, and for two tensors of one name. `checkpoint` must outlive it.
  static Result<TensorNames> of(const Checkpoint& checkpoint, const std::vector<Rename>& renames);

  /// The tensor's number in the schema; nullopt when there is none of that name.
  std::optional<size_t> find(const std::string& name) const;
  /// All names, in increasing order.
  std::vector<std::string> all() const;

 private:
  explicit TensorNames(const Checkpoint& checkpoint) : checkpoint_(&checkpoint) {}

  const Checkpoint* checkpoint_;
  std::optional<std::map<std::string, size_t>> renamed_;
};

}  // namespace cairn
