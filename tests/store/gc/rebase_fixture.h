// Series of tags of which some are forgotten, so that chains keep what no tag has as its own.
#pragma once

#include <fmt/format.h>

#include "store/gc/rebase.h"
#include "tests/lib/series_fixture.h"

namespace cairn {

class RebaseFixture : public SeriesFixture {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    trainer_.add("a", {64, 96});
    trainer_.add("b", {50, 41});
  }
  void save_steps(int count) {
    for (int i = 0; i < count; ++i) {
      trainer_.step();
      save_trainer(fmt::format("t/{:02}", number_++), trainer_,
                   [](SaveRequest& request) { request.restore_budget = 1000; });
    }
  }
  /// Pages of bases that the tags need and no tag has as its own.
  std::set<Digest> orphan_bases() {
    std::set<Digest> own, closure;
    for (const auto& [tag, state] : states_) {
      auto checkpoint = *open_tag(*store_, tag);
      for (const PagePlace& place : checkpoint->table().pages) own.insert(place.page.digest);
      for (const PagePlace& place : checkpoint->table().closure) closure.insert(place.page.digest);
    }
    for (const Digest& page : own) closure.erase(page);
    return closure;
  }
  RebasePlan plan() {
    auto planned = plan_rebase(*store_, *survey_store(*store_));
    EXPECT_TRUE(succeeds(planned));
    return planned ? *std::move(planned) : RebasePlan();
  }
  static uint64_t files_bytes(const Store& store) {
    uint64_t bytes = 0;
    const auto files = list_files(store);
    for (const StoredFile& file : *files) bytes += file.bytes;
    return bytes;
  }
  GcReport collect_with(bool rebase) {
    GcRequest request;
    request.rebase = rebase;
    const uint64_t before = files_bytes(*store_);
    const auto planned = plan_collection(*store_, request);
    EXPECT_TRUE(succeeds(planned));
    EXPECT_EQ(files_bytes(*store_), before) << "a dry run changes nothing";
    const auto report = collect(*store_, request);
    EXPECT_TRUE(succeeds(report));
    if (!planned || !report) return {};
    EXPECT_EQ(report->freed_bytes, int64_t(before) - int64_t(files_bytes(*store_)));
    if (!rebase) {
      EXPECT_EQ(planned->freed_bytes, report->freed_bytes);
    }
    return *report;
  }

  Trainer trainer_{1};
  int number_ = 0;
};

}  // namespace cairn
