// The tags of a root and its tables against a plain map of them, through changes in every order.
#include "store/tag_book.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "store/root.h"
#include "store/store.h"
#include "store/tag_change.h"
#include "tests/store/random_values.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class Book : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Store::init(posix_fs(), path(), {}));
    store_ = *Store::open(posix_fs(), path());
  }
  std::string path() const { return folder_ / "store"; }
  Root root() const { return *read_root(posix_fs(), path()); }

  using Edit = std::function<void(Root&, TagBook&)>;
  /// Returns the bytes of tables that the change wrote.
  uint64_t change(const Edit& edit) {
    ChangeOutcome outcome;
    const auto each = [&](Root& root, TagBook& tags) -> Result<RootChange> {
      edit(root, tags);
      ++root.commit;
      return RootChange::kReplace;
    };
    EXPECT_TRUE(change_tags(*store_, *SessionId::fresh(), 0ms, each, outcome));
    return outcome.table_bytes;
  }
  void put(Root& root, TagBook& tags, const std::string& name) {
    TagEntry entry;
    entry.name = name;
    entry.commit = ++root.commit;
    tags.put(entry);
    expected_[name] = entry.commit;
  }
  void remove(TagBook& tags, const std::string& name) {
    tags.remove(name);
    expected_.erase(name);
  }

  void expect_same() {
    TagBook book = *store_->read_book();
    std::map<std::string, uint64_t> listed;
    const TagList list = *book.list();
    for (const TagEntry& tag : list.tags) listed[tag.name] = tag.commit;
    EXPECT_EQ(listed, expected_);
    EXPECT_EQ(list.tags.size(), expected_.size());
    EXPECT_TRUE(
        std::is_sorted(list.tags.begin(), list.tags.end(),
                       [](const TagEntry& a, const TagEntry& b) { return a.name < b.name; }));
  }
  void expect_newest(const std::string& prefix) {
    TagBook book = *store_->read_book();
    const TagEntry* newest = *book.newest(prefix);
    const std::pair<const std::string, uint64_t>* wanted = nullptr;
    for (const auto& each : expected_) {
      if (!each.first.starts_with(prefix)) continue;
      if (wanted == nullptr || each.second > wanted->second) wanted = &each;
    }
    ASSERT_EQ(newest == nullptr, wanted == nullptr) << prefix;
    if (newest != nullptr) {
      EXPECT_EQ(newest->name, wanted->first) << prefix;
    }
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
  std::map<std::string, uint64_t> expected_;  // commits by name
};

TEST_F(Book, AnswersAsAMapDoes) {
  RandomValues random(7);
  const auto any_name = [&] {
    const uint64_t group = random.below(4);
    return fmt::format("{}/{:05}", std::string(group, 'b') + "a", random.below(900));
  };
  for (int round = 0; round < 60; ++round) {
    // Single changes, and crowds as gc and forget make them.
    const uint64_t count = random.below(4) == 0 ? random.below(700) : random.below(30);
    const bool mostly_removes = random.below(3) == 0;
    change([&](Root& root, TagBook& tags) {
      for (uint64_t i = 0; i < count; ++i) {
        const std::string name = any_name();
        if (random.below(4) == (mostly_removes ? 0u : 1u) || !mostly_removes) {
          put(root, tags, name);
        } else {
          remove(tags, name);
        }
        const TagEntry* found = *tags.find(name);
        EXPECT_EQ(found != nullptr, expected_.contains(name)) << "seen at once";
      }
    });
    expect_same();
    for (const char* prefix : {"", "a", "ba/", "bba/00", "bbba/0012", "c", "bba/0"}) {
      expect_newest(prefix);
    }
    TagBook book = *store_->read_book();
    for (int i = 0; i < 20; ++i) {
      const std::string name = any_name();
      const TagEntry* found = *book.find(name);
      ASSERT_EQ(found != nullptr, expected_.contains(name)) << name;
      if (found != nullptr) {
        EXPECT_EQ(found->commit, expected_[name]);
      }
    }
  }
}

TEST_F(Book, TablesArePartedByName) {
  change([&](Root& root, TagBook& tags) {
    for (int i = 0; i < 3000; ++i) put(root, tags, fmt::format("t/{:05}", i));
  });
  Root now = root();
  ASSERT_GE(now.tables.size(), 3000u / 256);
  EXPECT_TRUE(now.entries.empty());
  uint64_t entries = 0;
  for (const TagTableRef& table : now.tables) {
    EXPECT_LE(table.entries, 256u);
    EXPECT_GE(table.entries, 64u);
    entries += table.entries;
  }
  EXPECT_EQ(entries, 3000u);
  // What is left of them does not stay behind in as many small tables.
  change([&](Root&, TagBook& tags) {
    for (int i = 0; i < 3000; ++i) {
      if (i % 100 != 0) remove(tags, fmt::format("t/{:05}", i));
    }
  });
  EXPECT_EQ(root().tables.size(), 1u);
  expect_same();
  change([&](Root&, TagBook& tags) {
    for (int i = 0; i < 3000; i += 100) remove(tags, fmt::format("t/{:05}", i));
    for (int i = 0; i < 300; ++i) remove(tags, fmt::format("never/{:05}", i));
  });
  EXPECT_TRUE(root().tables.empty());
  EXPECT_TRUE(root().entries.empty());
  EXPECT_TRUE(store_->read_tags()->tags.empty());
}

TEST_F(Book, AFoldWritesAFewTables) {
  change([&](Root& root, TagBook& tags) {
    for (int i = 0; i < 20000; ++i) put(root, tags, fmt::format("{:05}", i * 3));
  });
  RandomValues random(3);
  uint64_t folds = 0;
  for (int i = 0; i < 600; ++i) {
    const uint64_t bytes = change([&](Root& root, TagBook& tags) {
      put(root, tags, fmt::format("{:05}", random.below(60000)));
    });
    folds += bytes == 0 ? 0 : 1;
    EXPECT_LT(bytes, 65u * 256 * 450) << "names all over the store";
  }
  EXPECT_GE(folds, 3u);
  EXPECT_LE(folds, 7u) << "not with every change";
  expect_same();
  folds = 0;
  for (int i = 0; i < 600; ++i) {
    const uint64_t bytes =
        change([&](Root& root, TagBook& tags) { put(root, tags, fmt::format("run/{:05}", i)); });
    folds += bytes == 0 ? 0 : 1;
  }
  EXPECT_LE(folds, 10u) << "one after the other, as a run of training names its tags";
  expect_same();
}

TEST_F(Book, ListsWhatIsNotInTablesSeen) {
  change([&](Root& root, TagBook& tags) {
    for (int i = 0; i < 600; ++i) put(root, tags, fmt::format("{:05}", i));
  });
  std::set<Digest> seen;
  for (const TagTableRef& table : root().tables) seen.insert(table.table.digest);
  change([&](Root& root, TagBook& tags) {
    put(root, tags, "00300");
    put(root, tags, "new");
    remove(tags, "00400");
  });
  const TagList list = *store_->read_book()->list(seen);
  ASSERT_EQ(list.tags.size(), 2u);
  EXPECT_EQ(list.tags[0].name, "00300");
  EXPECT_EQ(list.tags[1].name, "new");
}

TEST_F(Book, ATableThatWentMeanwhileIsLookedForAgain) {
  change([&](Root& root, TagBook& tags) {
    for (int i = 0; i < 600; ++i) put(root, tags, fmt::format("{:05}", i));
  });
  const FileId old = root().tables[0].table.file;
  const std::string file = join_path(path(), relative_path(FileKind::kMeta, old));
  int asked = 0;
  const auto reader = *Store::open(posix_fs(), path());  // has no table open
  const auto found = reader->ask_tags([&](TagBook& book) {
    // Between the reading of the root and that of its table: a change, and a collection.
    if (++asked == 1) {
      change([&](Root& root, TagBook& tags) {
        for (int i = 0; i < 600; ++i) put(root, tags, fmt::format("{:05}", i));
      });
      EXPECT_TRUE(posix_fs().remove(file));
    }
    return book.list();
  });
  EXPECT_EQ(asked, 2);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tags.size(), 600u);
  const FileId now = root().tables[0].table.file;
  ASSERT_TRUE(posix_fs().remove(join_path(path(), relative_path(FileKind::kMeta, now))));
  store_ = *Store::open(posix_fs(), path());
  EXPECT_EQ(store_->find_tag("00001").error().code, Code::kCorrupt) << "one that is lost";
}

TEST_F(Book, ATableThatIsNotTheOneNamedIsDamage) {
  change([&](Root& root, TagBook& tags) {
    for (int i = 0; i < 900; ++i) put(root, tags, fmt::format("{:05}", i));
  });
  const auto damaged = [&](const std::function<void(std::vector<TagTableRef>&)>& damage) {
    Root now = root();
    damage(now.tables);
    return TagBook(store_->meta_files(), now).list();
  };
  EXPECT_TRUE(damaged([](auto&) {}));
  const auto exchanged = damaged([](auto& tables) { std::swap(tables[0].table, tables[1].table); });
  ASSERT_FALSE(exchanged);
  EXPECT_EQ(exchanged.error().code, Code::kCorrupt);
  EXPECT_FALSE(damaged([](auto& tables) { ++tables[0].entries; }));
  EXPECT_FALSE(damaged([](auto& tables) { tables[1].first_name = "00001"; }));
  EXPECT_FALSE(damaged([](auto& tables) { tables.erase(tables.begin()); }) &&
               damaged([](auto& tables) { tables[2].first_name += "0"; }));
}

}  // namespace
}  // namespace cairn
