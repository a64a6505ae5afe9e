#include "lib/retention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace cairn {
namespace {

constexpr int64_t kSecond = 1'000'000'000, kHour = 3600 * kSecond, kDay = 24 * kHour;
constexpr int64_t kMonday = 1767571200 * kSecond;  // 2026-01-05T00:00:00Z

RetentionTag tag(std::string name, uint64_t commit, int64_t created_ns = kMonday) {
  return {std::move(name), commit, created_ns, static_cast<int64_t>(commit), false, {}};
}

/// Steps 1 to count of one run, an hour apart.
std::vector<RetentionTag> run_of(uint64_t count) {
  std::vector<RetentionTag> tags;
  for (uint64_t i = 1; i <= count; ++i) {
    tags.push_back(tag("r/" + std::to_string(i), i, kMonday + static_cast<int64_t>(i - 1) * kHour));
  }
  return tags;
}

std::set<std::string> kept(const std::vector<RetentionTag>& tags, const RetentionPolicy& policy) {
  std::set<std::string> names;
  for (const RetentionVerdict& verdict : apply_policy(tags, policy)) {
    EXPECT_FALSE(verdict.reasons.empty());
    if (verdict.kept) names.insert(verdict.tag);
  }
  return names;
}

using Names = std::set<std::string>;

TEST(Retention, TheLastOnesByCommitNotByClock) {
  std::vector<RetentionTag> tags = run_of(5);
  tags[0].created_ns += 400 * kDay;
  RetentionPolicy policy;
  policy.last = 2;
  EXPECT_EQ(kept(tags, policy), Names({"r/4", "r/5"}));
  policy.last = 0;
  EXPECT_EQ(kept(tags, policy), Names({"r/5"})) << "the newest stays whatever is asked";
  EXPECT_TRUE(policy.is_empty()) << "0 of something is nothing";
  policy.within_s = 1;
  EXPECT_FALSE(policy.is_empty());
  EXPECT_TRUE(RetentionPolicy().is_empty());
}

TEST(Retention, StepsAndTimes) {
  const std::vector<RetentionTag> tags = run_of(10);
  RetentionPolicy steps;
  steps.every_steps = 4;
  EXPECT_EQ(kept(tags, steps), Names({"r/4", "r/8", "r/10"}));
  RetentionPolicy within;
  within.within_s = 2 * 3600;
  EXPECT_EQ(kept(tags, within), Names({"r/8", "r/9", "r/10"}));
  within.within_s = UINT64_MAX;
  EXPECT_EQ(kept(tags, within).size(), 10u);
}

TEST(Retention, ATagWithoutAStepIsKeptByNoStep) {
  std::vector<RetentionTag> tags = run_of(3);
  tags[0].step.reset();
  tags[1].step = 0;
  RetentionPolicy steps;
  steps.every_steps = 100;
  EXPECT_EQ(kept(tags, steps), Names({"r/2", "r/3"})) << "0 is divisible";
}

TEST(Retention, TheNewestOfEachPeriodThatHasAny) {
  const std::vector<RetentionTag> tags = run_of(24 * 40);  // 40 days from a Monday, 5 January
  RetentionPolicy policy;
  policy.daily = 2;
  EXPECT_EQ(kept(tags, policy), Names({"r/960", "r/936"}));
  policy = {};
  policy.weekly = 3;
  EXPECT_EQ(kept(tags, policy), Names({"r/960", "r/840", "r/672"}));
  policy = {};
  policy.monthly = 12;
  EXPECT_EQ(kept(tags, policy), Names({"r/960", "r/648"})) << "two months have tags";
  policy = {};
  policy.hourly = 3;
  EXPECT_EQ(kept(tags, policy).size(), 3u);
}

TEST(Retention, TheBestByAMetric) {
  std::vector<RetentionTag> tags = run_of(6);
  const char* losses[] = {"2.5", "0.5", "nan", "0.5", "not a number", "1e3"};
  for (size_t i = 0; i < 6; ++i) tags[i].metadata["loss"] = losses[i];
  RetentionPolicy policy;
  policy.best = {{"loss", false, 1}};
  EXPECT_EQ(kept(tags, policy), Names({"r/4", "r/6"})) << "of equals the newest";
  policy.best = {{"loss", true, 2}};
  EXPECT_EQ(kept(tags, policy), Names({"r/1", "r/6"}));
  policy.best = {{"accuracy", true, 2}};
  EXPECT_EQ(kept(tags, policy), Names({"r/6"}));
}

TEST(Retention, RulesThatNameWhatNoTagHas) {
  std::vector<RetentionTag> tags = run_of(3);
  tags[0].metadata = {{"loss", "0.5"}, {"note", "good"}};
  RetentionPolicy policy;
  policy.best = {{"loss", false, 1}, {"note", false, 1}, {"los", true, 2}, {"x", true, 0}};
  policy.tags = {"r/[12]", "s/*"};
  EXPECT_EQ(unmatched_rules(tags, policy),
            std::vector<std::string>({"no tag has a number 'note'", "no tag has a number 'los'",
                                      "no tag matches 's/*'"}));
}

TEST(Retention, GroupsPinsAndGlobs) {
  std::vector<RetentionTag> tags = {tag("a/1", 1), tag("a/2", 2), tag("b/1", 3),
                                    tag("b/2", 4), tag("top", 5), tag("a/x/1", 6)};
  tags[0].pinned = true;
  RetentionPolicy policy;
  policy.last = 1;
  EXPECT_EQ(kept(tags, policy), Names({"a/1", "a/2", "b/2", "top", "a/x/1"}));
  policy.group_by_prefix = false;
  EXPECT_EQ(kept(tags, policy), Names({"a/1", "a/x/1"}));
  policy.tags = {"b/*"};
  EXPECT_EQ(kept(tags, policy), Names({"a/1", "a/x/1", "b/1", "b/2"}));
}

RetentionPolicy random_policy(std::mt19937_64& random) {
  const auto some = [&](uint64_t most) {
    return random() % 3 == 0 ? std::optional<uint64_t>(random() % most) : std::nullopt;
  };
  RetentionPolicy policy;
  policy.last = some(5);
  if (const auto every = some(7)) policy.every_steps = *every + 1;
  if (const auto hours = some(50)) policy.within_s = *hours * 3600;
  policy.hourly = some(5);
  policy.daily = some(4);
  policy.weekly = some(3);
  policy.monthly = some(3);
  if (random() % 3 == 0) policy.best = {{"loss", random() % 2 == 0, random() % 4}};
  if (random() % 3 == 0) policy.tags = {"a/*1*"};
  policy.group_by_prefix = random() % 2 == 0;
  return policy;
}

std::vector<RetentionTag> random_tags(std::mt19937_64& random) {
  std::vector<RetentionTag> tags;
  const uint64_t count = random() % 30;
  for (uint64_t i = 0; i < count; ++i) {
    RetentionTag one = tag(std::string(1, "abc"[random() % 3]) + "/" + std::to_string(i), i + 1,
                           kMonday + static_cast<int64_t>(random() % 2000) * kHour);
    one.step = static_cast<int64_t>(random() % 40);
    one.pinned = random() % 8 == 0;
    if (random() % 2 == 0) one.metadata["loss"] = std::to_string(random() % 10);
    tags.push_back(std::move(one));
  }
  std::shuffle(tags.begin(), tags.end(), random);
  return tags;
}

TEST(Retention, PropertiesOfEveryPolicy) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 2000; ++round) {
    const std::vector<RetentionTag> tags = random_tags(random);
    const RetentionPolicy policy = random_policy(random);
    const auto verdicts = apply_policy(tags, policy);
    ASSERT_EQ(verdicts.size(), tags.size());
    const Names once = kept(tags, policy);
    std::vector<RetentionTag> left;
    for (size_t i = 0; i < tags.size(); ++i) {
      EXPECT_EQ(verdicts[i].tag, tags[i].name) << "in the order given";
      EXPECT_TRUE(verdicts[i].kept || !tags[i].pinned);
      if (verdicts[i].kept) left.push_back(tags[i]);
    }
    EXPECT_EQ(tags.empty(), once.empty()) << "some newest stays";
    EXPECT_EQ(kept(left, policy), once) << "applied again it removes nothing more";
    RetentionPolicy more = policy;
    more.last = policy.last.value_or(0) + 3;
    const Names with_more = kept(tags, more);
    EXPECT_TRUE(std::includes(with_more.begin(), with_more.end(), once.begin(), once.end()))
        << "a further rule removes nothing";
  }
}

}  // namespace
}  // namespace cairn
