// A store of checkpoints that is collected: each time as a dry run before it says.
#pragma once

#include <fmt/format.h>

#include <map>

#include "lib/check.h"
#include "store/forget.h"
#include "store/gc/collect.h"
#include "store/session.h"
#include "store/tag_change.h"
#include "tests/lib/store_fixture.h"
#include "tests/support/outcome.h"

namespace cairn {

class CollectFixture : public StoreFixture {
 protected:
  static constexpr uint64_t kElements = 64 * 1024;

  /// Saves a tensor whose chunks in `changed` (of 64) differ from those of any other seed.
  void save_tag(const std::string& name, uint32_t seed, uint64_t changed = 64) {
    Bytes data = noise(2 * kElements, 1);
    const Bytes fresh = noise(2 * kElements, seed);
    for (uint64_t chunk = 0; chunk < changed; ++chunk) {
      std::copy_n(fresh.begin() + int64_t(chunk) * 2048, 2048,
                  data.begin() + int64_t(chunk) * 2048);
    }
    SaveRequest request;
    request.tag = name;
    request.tensors = cut("w", {kElements}, data, 0, 1, false);
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    states_[name] = data;
  }

  /// Saves a tag and another that keeps half of it. Returns the name of the first.
  std::string save_pair(uint32_t number) {
    const std::string old = fmt::format("old/{}", number);
    save_tag(old, 20 + number);
    Bytes data = states_[old];
    const Bytes fresh = noise(kElements, 90 + number);
    std::copy(fresh.begin(), fresh.end(), data.begin());
    SaveRequest request;
    request.tag = fmt::format("new/{}", number);
    request.base = old;
    request.tensors = cut("w", {kElements}, data, 0, 1, false);
    EXPECT_TRUE(succeeds(save(*store_, request)));
    states_[request.tag] = data;
    return old;
  }

  /// Gives a tag many more names, as that many changes of the root would.
  void name_again(const std::string& tag, const std::string& prefix, int count) {
    const TagEntry entry = *store_->find_tag(tag);
    const auto edit = [&](Root& root, TagBook& tags) -> Result<RootChange> {
      for (int i = 0; i < count; ++i) {
        TagEntry copy = entry;
        copy.name = fmt::format("{}/{:05}", prefix, i);
        copy.commit = ++root.commit;
        states_[copy.name] = states_[tag];
        tags.put(std::move(copy));
      }
      return RootChange::kReplace;
    };
    ChangeOutcome outcome;
    ASSERT_TRUE(change_tags(*store_, *SessionId::fresh(), std::chrono::seconds(0), edit, outcome));
  }

  void forget(const std::vector<std::string>& names) {
    std::vector<TagEntry> tags;
    for (const std::string& name : names) {
      tags.push_back(*store_->find_tag(name));
      states_.erase(name);
    }
    ASSERT_TRUE(forget_tags(*store_, tags, true, std::chrono::seconds(0)));
  }

  /// Every tag that stands has its bytes, and nothing in the store is amiss.
  void expect_whole() {
    store_ = *Store::open(posix_fs(), path());
    const TagList list = *store_->read_tags();
    EXPECT_EQ(list.tags.size(), states_.size());
    for (const auto& [name, data] : states_) EXPECT_EQ(load_whole(name, "w", {kElements}), data);
    CheckRequest request;
    request.tags = list.tags;
    request.read_percent = 100;
    const auto report = check(*store_, request);
    ASSERT_TRUE(report);
    for (const Damage& damage : report->damage) ADD_FAILURE() << damage.message;
    EXPECT_TRUE(read_root(posix_fs(), path())->condemned.empty());
  }

  uint64_t bytes_on_disk() const {
    uint64_t bytes = 0;
    const auto files = list_files(*store_);
    for (const StoredFile& file : *files) bytes += file.bytes;
    return bytes;
  }

  /// Collects; a dry run before it must have known every figure.
  GcReport collect_as_planned(const GcRequest& request = {}) {
    const uint64_t before = bytes_on_disk();
    const auto plan = plan_collection(*store_, request);
    EXPECT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(bytes_on_disk(), before) << "a dry run changes nothing";
    const auto report = collect(*store_, request);
    EXPECT_TRUE(report) << report.error().message;
    if (!plan || !report) return {};
    EXPECT_EQ(plan->freed_bytes, report->freed_bytes);
    EXPECT_EQ(plan->packs_deleted, report->packs_deleted);
    EXPECT_EQ(plan->packs_rewritten, report->packs_rewritten);
    EXPECT_EQ(plan->metas_deleted, report->metas_deleted);
    EXPECT_EQ(plan->metas_rewritten, report->metas_rewritten);
    EXPECT_EQ(plan->chunks_removed, report->chunks_removed);
    EXPECT_EQ(plan->moved_bytes, report->moved_bytes);
    EXPECT_EQ(plan->is_cut, report->is_cut);
    EXPECT_EQ(plan->needed_limit, report->needed_limit);
    EXPECT_EQ(plan->failures, report->failures);
    EXPECT_LE(report->moved_bytes, request.move.bytes_max);
    EXPECT_EQ(report->freed_bytes, int64_t(before) - int64_t(bytes_on_disk()));
    return *report;
  }

  std::map<std::string, Bytes> states_;
};

}  // namespace cairn
