// Which page holds which chunk: the rule of docs/FORMAT.md, section 5, against a plain reading of
// it that adds one entry after the other.
#include "store/page_plan.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/store/random_values.h"

namespace cairn {
namespace {

struct Item {
  std::string name;
  uint64_t chunk_count = 0;
};

struct Entry {
  size_t item = 0;
  uint64_t chunk = 0;

  bool operator==(const Entry&) const = default;
};
using PlainPages = std::vector<std::vector<Entry>>;

bool ends_page(const std::string& name) { return blake3(as_bytes(name)).bytes[0] % 32 == 0; }

void add_plainly(PlainPages& pages, const std::vector<Item>& items, size_t first_item) {
  std::vector<Entry> page;
  const auto close = [&] {
    if (!page.empty()) pages.push_back(page);
    page.clear();
  };
  for (size_t i = 0; i < items.size(); ++i) {
    if (!page.empty() && page.size() + items[i].chunk_count > 4096) close();
    for (uint64_t chunk = 0; chunk < items[i].chunk_count; ++chunk) {
      if (page.size() == 4096) close();
      page.push_back({first_item + i, chunk});
    }
    if (ends_page(items[i].name)) close();
  }
  close();
}

PagePlan plan(const std::vector<Item>& tensors, const std::vector<Item>& attachments) {
  constexpr uint64_t kChunkBytes = 100;
  Schema schema;
  for (const Item& item : tensors) schema.tensors.push_back({item.name, 1, {}, item.chunk_count});
  std::vector<AttachmentInfo> infos;
  for (const Item& item : attachments) {
    const uint64_t bytes = item.chunk_count * kChunkBytes;
    infos.push_back({item.name, bytes, ChunkEdges::runs(bytes, kChunkBytes)});
  }
  return plan_pages(schema, infos);
}

PlainPages entries_of(const PagePlan& plan) {
  PlainPages pages;
  for (const auto& runs : plan.pages) {
    std::vector<Entry>& page = pages.emplace_back();
    for (const PageRun& run : runs) {
      EXPECT_EQ(run.first_entry, page.size());
      EXPECT_GT(run.chunk_count, 0u);
      for (uint64_t i = 0; i < run.chunk_count; ++i)
        page.push_back({run.item, run.first_chunk + i});
    }
  }
  return pages;
}

void expect_follows_the_rule(const std::vector<Item>& tensors,
                             const std::vector<Item>& attachments) {
  PlainPages wanted;
  add_plainly(wanted, tensors, 0);
  add_plainly(wanted, attachments, tensors.size());
  const PagePlan planned = plan(tensors, attachments);
  ASSERT_TRUE(entries_of(planned) == wanted);
  ASSERT_EQ(planned.first_places.size(), tensors.size() + attachments.size());
  for (size_t page = 0; page < wanted.size(); ++page) {
    for (uint32_t entry = 0; entry < wanted[page].size(); ++entry) {
      const PagePlan::Place place =
          planned.place(wanted[page][entry].item, wanted[page][entry].chunk);
      ASSERT_EQ(place.page, page);
      ASSERT_EQ(place.entry, entry);
    }
  }
}

/// The first name of a counter that ends (or does not end) its page.
std::string name_that(bool ends, int& counter) {
  for (;; ++counter) {
    std::string name = "t" + std::to_string(100000 + counter);
    if (ends_page(name) != ends) continue;
    ++counter;
    return name;
  }
}

TEST(PagePlan, FollowsTheRuleAtItsEdges) {
  const std::vector<std::vector<uint64_t>> kCounts = {
      {},           {0},          {1},           {4096},         {4097},       {8192},
      {8193},       {4095, 1},    {4095, 2},     {4096, 1},      {4096, 0, 1}, {1, 4096},
      {1, 4095},    {1, 8192},    {0, 0, 0},     {4097, 4095},   {4097, 4096}, {1, 1, 4094, 1},
      {5, 0, 9000}, {0, 4096, 0}, {10000, 1, 1}, {2048, 2048, 1}};
  for (const auto& counts : kCounts) {
    for (const bool ends : {false, true}) {
      int counter = 0;
      std::vector<Item> items;
      for (const uint64_t count : counts) items.push_back({name_that(ends, counter), count});
      expect_follows_the_rule(items, {});
      expect_follows_the_rule({}, items);
      expect_follows_the_rule(items, items);
    }
  }
}

TEST(PagePlan, FollowsTheRuleForRandomItems) {
  RandomValues random(1);
  for (int i = 0; i < 60; ++i) {
    std::vector<Item> tensors(random.below(80)), attachments(random.below(5));
    for (auto* items : {&tensors, &attachments}) {
      for (Item& item : *items) item = {random.text(20), random.below(random.coin() ? 20 : 6000)};
    }
    expect_follows_the_rule(tensors, attachments);
  }
}

/// The pages as names and chunk numbers, which is what decides about their bytes.
std::set<std::string> named_pages(const std::vector<Item>& tensors) {
  std::set<std::string> pages;
  for (const auto& page : entries_of(plan(tensors, {}))) {
    std::string text;
    for (const Entry& entry : page) {
      text += tensors[entry.item].name + ":" + std::to_string(entry.chunk) + " ";
    }
    pages.insert(text);
  }
  return pages;
}

TEST(PagePlan, ATensorThatComesMovesOnlyThePagesNearIt) {
  std::vector<Item> tensors;
  for (int i = 0; i < 600; ++i) tensors.push_back({"layer." + std::to_string(1000 + i), 3});
  const auto before = named_pages(tensors);
  ASSERT_GT(before.size(), 8u) << "names end about one page in 32 tensors";
  for (const size_t at : {0, 100, 300, 599}) {
    std::vector<Item> more = tensors;
    more.insert(more.begin() + static_cast<ptrdiff_t>(at), {"new", 3});
    size_t changed = 0;
    for (const std::string& page : named_pages(more)) changed += before.count(page) == 0 ? 1 : 0;
    EXPECT_GE(changed, 1u);
    EXPECT_LE(changed, 2u) << "a tensor before number " << at;
  }
}

}  // namespace
}  // namespace cairn
