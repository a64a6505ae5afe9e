#include "lib/retention.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <functional>

#include "base/glob.h"
#include "store/tag_name.h"

namespace cairn {

/// nullopt for what is no number, and for NaN.
static std::optional<double> metric(const RetentionTag& tag, const std::string& name) {
  const auto found = tag.metadata.find(name);
  if (found == tag.metadata.end()) return std::nullopt;
  const std::string& text = found->second;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number =
      error == std::errc() && end == text.data() + text.size() && !std::isnan(value);
  return is_number ? std::optional(value) : std::nullopt;
}

namespace {

/// The tags of one group, newest first, with the reasons found so far.
class Group {
 public:
  Group(std::vector<const RetentionTag*> tags,
        std::map<const RetentionTag*, std::vector<std::string>>& reasons)
      : tags_(std::move(tags)), reasons_(reasons) {
    std::sort(tags_.begin(), tags_.end(),
              [](const RetentionTag* a, const RetentionTag* b) { return a->commit > b->commit; });
  }

  void apply(const RetentionPolicy& policy) {
    keep(*tags_.front(), "the newest of its group");
    keep_if([](const RetentionTag& tag) { return tag.pinned; }, "pinned");
    if (policy.last) keep_last(*policy.last);
    if (policy.every_steps.value_or(0) != 0) keep_steps(*policy.every_steps);
    if (policy.within_s) keep_within(*policy.within_s);
    if (policy.hourly) keep_periods(*policy.hourly, "hourly", "{:%Y-%m-%d %H:00}");
    if (policy.daily) keep_periods(*policy.daily, "daily", "{:%Y-%m-%d}");
    if (policy.weekly) keep_periods(*policy.weekly, "weekly", "{:%G-W%V}");
    if (policy.monthly) keep_periods(*policy.monthly, "monthly", "{:%Y-%m}");
    for (const KeepBest& best : policy.best) keep_best(best);
    for (const std::string& glob : policy.tags) {
      keep_if([&](const RetentionTag& tag) { return glob_match(glob, tag.name); },
              fmt::format("matches '{}'", glob));
    }
  }

 private:
  void keep(const RetentionTag& tag, std::string reason) {
    reasons_[&tag].push_back(std::move(reason));
  }

  void keep_if(const std::function<bool(const RetentionTag&)>& wanted, const std::string& reason) {
    for (const RetentionTag* tag : tags_) {
      if (wanted(*tag)) keep(*tag, reason);
    }
  }

  void keep_last(uint64_t count) {
    for (size_t i = 0; i < tags_.size() && i < count; ++i) {
      keep(*tags_[i], fmt::format("one of the last {}", count));
    }
  }

  void keep_steps(uint64_t every) {
    keep_if(
        [&](const RetentionTag& tag) {
          return tag.step && *tag.step >= 0 && static_cast<uint64_t>(*tag.step) % every == 0;
        },
        fmt::format("its step is divisible by {}", every));
  }

  void keep_within(uint64_t seconds) {
    const int64_t newest_ns = tags_.front()->created_ns;
    // By division: a product of what users type could overflow.
    keep_if(
        [&](const RetentionTag& tag) {
          const int64_t age_s = (newest_ns - tag.created_ns) / 1'000'000'000;
          return age_s <= 0 || static_cast<uint64_t>(age_s) <= seconds;
        },
        "recent enough");
  }

  /// `format` names the period that a time lies in.
  void keep_periods(uint64_t count, std::string_view what, std::string_view format) {
    std::string last;
    for (const RetentionTag* tag : tags_) {
      if (count == 0) return;
      const std::time_t seconds = floor_seconds(tag->created_ns);
      std::string period = fmt::format(fmt::runtime(format), utc(seconds));
      if (period == last) continue;
      last = std::move(period);
      keep(*tag, fmt::format("{} ({})", what, last));
      --count;
    }
  }

  void keep_best(const KeepBest& best) {
    std::vector<std::pair<double, const RetentionTag*>> ranked;
    for (const RetentionTag* tag : tags_) {
      const auto value = metric(*tag, best.metric);
      if (value) ranked.push_back({best.largest ? -*value : *value, tag});
    }
    // Stable: of equals the newest comes first.
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    if (ranked.size() > best.count) ranked.resize(best.count);
    for (const auto& [value, tag] : ranked) {
      keep(*tag, fmt::format("one of the {} {} of {}", best.count,
                             best.largest ? "largest" : "smallest", best.metric));
    }
  }

  static std::time_t floor_seconds(int64_t ns) {
    return static_cast<std::time_t>(
        std::chrono::floor<std::chrono::seconds>(std::chrono::nanoseconds(ns)).count());
  }
  static std::tm utc(std::time_t seconds) {
    std::tm time{};
    gmtime_r(&seconds, &time);
    return time;
  }

  std::vector<const RetentionTag*> tags_;
  std::map<const RetentionTag*, std::vector<std::string>>& reasons_;
};

}  // namespace

bool RetentionPolicy::is_empty() const {
  const std::optional<uint64_t> numbers[] = {last,  every_steps, within_s, hourly,
                                             daily, weekly,      monthly};
  const bool counts = std::any_of(std::begin(numbers), std::end(numbers),
                                  [](const auto& number) { return number.value_or(0) != 0; });
  return !counts && tags.empty() && std::all_of(best.begin(), best.end(), [](const KeepBest& each) {
    return each.count == 0;
  });
}

std::vector<std::string> unmatched_rules(const std::vector<RetentionTag>& tags,
                                         const RetentionPolicy& policy) {
  std::vector<std::string> unmatched;
  for (const KeepBest& best : policy.best) {
    if (best.count == 0) continue;
    const bool is_known = std::any_of(tags.begin(), tags.end(), [&](const RetentionTag& tag) {
      return metric(tag, best.metric).has_value();
    });
    if (!is_known) unmatched.push_back(fmt::format("no tag has a number '{}'", best.metric));
  }
  for (const std::string& glob : policy.tags) {
    const bool is_known = std::any_of(tags.begin(), tags.end(), [&](const RetentionTag& tag) {
      return glob_match(glob, tag.name);
    });
    if (!is_known) unmatched.push_back(fmt::format("no tag matches '{}'", glob));
  }
  return unmatched;
}

std::vector<RetentionVerdict> apply_policy(const std::vector<RetentionTag>& tags,
                                           const RetentionPolicy& policy) {
  std::map<std::string, std::vector<const RetentionTag*>> groups;
  for (const RetentionTag& tag : tags) {
    groups[policy.group_by_prefix ? std::string(tag_prefix(tag.name)) : ""].push_back(&tag);
  }
  std::map<const RetentionTag*, std::vector<std::string>> reasons;
  for (auto& [prefix, members] : groups) Group(std::move(members), reasons).apply(policy);
  std::vector<RetentionVerdict> verdicts;
  for (const RetentionTag& tag : tags) {
    const auto found = reasons.find(&tag);
    const bool kept = found != reasons.end();
    verdicts.push_back(
        {tag.name, kept, kept ? found->second : std::vector<std::string>{"no rule keeps it"}});
  }
  return verdicts;
}

}  // namespace cairn
