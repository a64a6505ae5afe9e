// Which tags a policy keeps, and why: a pure function of the tags and the policy. What `forget`
// does with the answer is its own matter (store/forget.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cairn {

/// What a policy may look at.
struct RetentionTag {
  std::string name;
  uint64_t commit = 0;
  int64_t created_ns = 0;
  std::optional<int64_t> step;
  bool pinned = false;
  std::map<std::string, std::string> metadata;
};

/// Keeps the tags with the best values of a metric, a number in the tag's metadata.
struct KeepBest {
  std::string metric;
  bool largest = false;  ///< else the smallest
  uint64_t count = 0;
};

/// A tag is kept when any rule keeps it. The names follow restic, where they are in wide use.
struct RetentionPolicy {
  std::optional<uint64_t> last;         ///< the newest so many
  std::optional<uint64_t> every_steps;  ///< steps divisible by it
  std::optional<uint64_t> within_s;     ///< not older than the group's newest by more
  /// The newest of each of the latest so many hours, ... (UTC) that have any.
  std::optional<uint64_t> hourly, daily, weekly, monthly;
  std::vector<KeepBest> best;
  std::vector<std::string> tags;  ///< globs
  bool group_by_prefix = true;    ///< by the name up to its last '/', else all in one

  /// Has no rule, or only such as keep nothing (0 of something).
  bool is_empty() const;
};

/// What a rule names that none of the tags has, in words: a metric, a pattern. A policy with such a
/// rule was meant to keep tags that it does not keep.
std::vector<std::string> unmatched_rules(const std::vector<RetentionTag>& tags,
                                         const RetentionPolicy& policy);

struct RetentionVerdict {
  std::string tag;
  bool kept = false;
  std::vector<std::string> reasons;  ///< never empty
};

/// A verdict for each tag, in the order given. Whatever the policy: the newest tag (by commit) of
/// each group and pinned tags are kept.
std::vector<RetentionVerdict> apply_policy(const std::vector<RetentionTag>& tags,
                                           const RetentionPolicy& policy);

}  // namespace cairn
