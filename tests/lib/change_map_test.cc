#include "lib/change_map.h"

#include <gmock/gmock.h>

#include "lib/page_marks.h"
#include "lib/report_facts.h"
#include "tests/lib/store_fixture.h"

namespace cairn {
namespace {

class ChangeMapTest : public StoreFixture {
 protected:
  /// Saves tensors of 4 chunks each.
  void save_tag(const std::string& tag, const std::map<std::string, Bytes>& tensors) {
    SaveRequest request;
    request.tag = tag;
    for (const auto& [name, data] : tensors) {
      const Shape shape = {data.size() / 2};
      request.tensors.push_back(
          {name, Dtype::kBF16, shape, whole_box(shape), data.data(), {}, 0, Role::kNone, ""});
    }
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
  }

  ChangeMap changes(size_t columns_max = 100, size_t rows_max = 200) {
    return *map_changes(*store_, arrange_tags(store_->read_tags()->tags, columns_max), rows_max,
                        nullptr);
  }

  static std::vector<uint64_t> numbers(const ChangeCell& cell) {
    return {cell.chunks, cell.new_chunks, cell.first_chunks};
  }

  const Bytes w_ = noise(8192, 1);
};

using ::testing::ElementsAre;

TEST_F(ChangeMapTest, CountsNewChunksAgainstThePreviousTagOfThePrefix) {
  Bytes changed = w_;
  changed[0] ^= 1, changed[8191] ^= 1;
  save_tag("a/1", {{"w", w_}, {"x", noise(8192, 2)}, {"s", noise(16, 3)}});
  save_tag("b/1", {{"w", changed}});
  save_tag("a/2", {{"w", changed}, {"x", noise(8192, 2)}, {"s", noise(16, 4)}});
  save_tag("a/3", {{"w", changed}, {"x", noise(4096, 2)}, {"y", noise(8192, 5)}});
  const ChangeMap map = changes();
  ASSERT_EQ(map.columns, 4u);      // a/1 a/2 a/3 b/1
  ASSERT_EQ(map.rows.size(), 4u);  // s w x y
  EXPECT_THAT(numbers(map.at(0, 0)), ElementsAre(0, 0, 1));
  EXPECT_THAT(numbers(map.at(0, 1)), ElementsAre(1, 1, 0));
  EXPECT_THAT(numbers(map.at(0, 2)), ElementsAre(0, 0, 0));
  EXPECT_THAT(numbers(map.at(1, 0)), ElementsAre(0, 0, 4));
  EXPECT_THAT(numbers(map.at(1, 1)), ElementsAre(4, 2, 0));
  EXPECT_THAT(numbers(map.at(1, 2)), ElementsAre(4, 0, 0));
  EXPECT_THAT(numbers(map.at(1, 3)), ElementsAre(0, 0, 4));
  EXPECT_THAT(numbers(map.at(2, 1)), ElementsAre(4, 0, 0));
  EXPECT_THAT(numbers(map.at(2, 2)), ElementsAre(2, 2, 0)) << "another shape";
  EXPECT_THAT(numbers(map.at(3, 2)), ElementsAre(4, 4, 0)) << "a new tensor";
}

TEST_F(ChangeMapTest, RowsAndColumnsAddUp) {
  for (int step = 1; step <= 4; ++step) {
    save_tag("r/" + std::to_string(step), {{"l.0.w", w_}, {"l.1.w", noise(8192, step)}});
  }
  const ChangeMap map = changes(2, 1);
  ASSERT_EQ(map.columns, 2u);
  ASSERT_EQ(map.rows.size(), 1u);
  EXPECT_EQ(map.rows[0].tensors, 2u);
  EXPECT_THAT(numbers(map.at(0, 0)), ElementsAre(8, 4, 8));
  EXPECT_THAT(numbers(map.at(0, 1)), ElementsAre(16, 8, 0));
}

TEST_F(ChangeMapTest, APageThatTagsShareIsReadAtMostOnce) {
  std::map<std::string, Bytes> tensors;
  for (int i = 0; i < 300; ++i) tensors["t" + std::to_string(i)] = noise(600, i);
  save_tag("r/00", tensors);
  const size_t pages = (*open_tag(*store_, "r/00"))->table().pages.size();
  ASSERT_GT(pages, 3u);
  for (int step = 1; step < 20; ++step) save_tag("r/" + std::to_string(10 + step), tensors);
  EXPECT_EQ(changes().pages_read, 0u) << "equal pages need not be read";
  // One page changes in every tag: it is read 4 times, the others never.
  for (int step = 30; step < 33; ++step) {
    tensors["t0"] = noise(600, 1000 + static_cast<uint32_t>(step));
    save_tag("r/" + std::to_string(step), tensors);
  }
  EXPECT_EQ(changes().pages_read, 4u);
}

TEST_F(ChangeMapTest, PiecesAreComparedByTheirParts) {
  const Shape shape = {64, 64};
  const Bytes data = noise(8192, 1), other = noise(8192, 2);
  int number = 0;
  for (const Bytes* each : {&data, &data, &other}) {
    SaveRequest request;
    request.tag = "p/" + std::to_string(number++);
    request.tensors = cut("w", shape, *each, 1, 3, true);
    ASSERT_TRUE(save(*store_, request));
  }
  const ChangeMap map = changes();
  const uint64_t chunks = map.at(0, 0).first_chunks;
  EXPECT_THAT(numbers(map.at(0, 1)), ElementsAre(chunks, 0, 0));
  EXPECT_THAT(numbers(map.at(0, 2)), ElementsAre(chunks, chunks, 0));
}

TEST_F(ChangeMapTest, StopsWhenAsked) {
  save_tag("a", {{"w", w_}});
  const std::atomic<bool> stop = true;
  const auto tags = arrange_tags(store_->read_tags()->tags, 100);
  EXPECT_EQ(map_changes(*store_, tags, 200, &stop).error().code, Code::kCancelled);
}

TEST_F(ChangeMapTest, FactsOfAReport) {
  StoreUsage usage;
  usage.dead_bytes = 77;
  const auto none = gather_report(*store_, usage, {}, nullptr);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->reclaimable_bytes, 77u);
  EXPECT_TRUE(none->tags.columns.empty());
  save_tag("a/1", {{"w", w_}});
  const auto facts = gather_report(*store_, usage, store_->read_tags()->tags, nullptr);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->usage.dead_bytes, 77u);
  EXPECT_EQ(facts->tags.tags.size(), 1u);
  EXPECT_EQ(facts->changes.at(0, 0).first_chunks, 4u);
}

}  // namespace
}  // namespace cairn
