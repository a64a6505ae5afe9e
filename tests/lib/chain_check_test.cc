// Damage in a chain: what is named, by load and by check, and what a save makes of it.
#include <filesystem>
#include <fstream>

#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

using Names = std::set<std::pair<std::string, std::string>>;

/// Tags 1, 2, 3 of a run, each made from the one before, and "other", which stands by itself.
class DamagedChain : public SeriesFixture {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    trainer_.add("p", {64, 40});
    trainer_.add("q", {64, 40});
    for (const char* tag : {"1", "2", "3"}) {
      trainer_.step();
      save_trainer(tag, trainer_, [](SaveRequest& request) { request.restore_budget = 1000; });
    }
    save_trainer("other", trainer_, [](SaveRequest& request) { request.base = "none"; });
  }

  Copy copy_of(const std::string& tag, const std::string& tensor, uint64_t chunk = 0) {
    auto checkpoint = *open_tag(*store_, tag);
    const auto place = checkpoint->plan().place(*checkpoint->find_tensor(tensor), chunk);
    const auto page = *checkpoint->page(place.page);
    return page->copies(place.entry)[0];
  }
  std::string pack_path(const Copy& copy) const {
    return join_path(path(), relative_path(FileKind::kPack, copy.pack));
  }
  void damage(const Copy& copy) const {
    std::fstream file(pack_path(copy), std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(copy.offset + copy.stored_bytes / 2);
    const int byte = file.seekg(at).get();
    file.seekp(at).put(static_cast<char>(byte ^ 0x04));
    ASSERT_TRUE(file.flush());
  }

  Status load_tensor(const std::string& tag, const std::string& name) const {
    const HeldTensor& tensor = states_.at(tag).at(name);
    Bytes data(tensor.bytes.size());
    LoadRequest request;
    request.targets.push_back(
        {name, tensor.dtype, tensor.shape, whole_box(tensor.shape), data.data(), {}});
    auto checkpoint = *open_tag(*store_, tag);
    CAIRN_CHECK(load(*checkpoint, request));
    EXPECT_TRUE(data == tensor.bytes) << tag << " " << name;
    return {};
  }
  /// Tags and tensors that cannot be loaded. Where a prediction is hardly off, a result may be
  /// right all the same.
  Names lost() const {
    Names lost;
    for (const auto& [tag, state] : states_) {
      for (const auto& [name, tensor] : state) {
        if (!load_tensor(tag, name)) lost.insert({tag, name});
      }
    }
    return lost;
  }
  /// Those that have the copy in their chains.
  Names users(const Copy& copy) const {
    Names users;
    for (const auto& [tag, state] : states_) {
      auto checkpoint = *open_tag(*store_, tag);
      const auto read = [&](size_t page) -> Result<Locator> {
        return (*checkpoint->page(page))->locator;
      };
      for (const auto& [name, tensor] : state) {
        const size_t item = *checkpoint->find_tensor(name);
        std::vector<CopyRef> refs;
        for (uint64_t chunk = 0; chunk < checkpoint->chunk_count(item); ++chunk) {
          const auto place = checkpoint->plan().place(item, chunk);
          refs.push_back({static_cast<uint32_t>(place.page),
                          (*checkpoint->page(place.page))->first_slots[place.entry]});
        }
        EXPECT_TRUE(follow_bases(refs, checkpoint->page_numbers(), read,
                                 [&](const CopyRef&, const Copy& met) -> Status {
                                   if (met == copy) users.insert({tag, name});
                                   return {};
                                 }));
      }
    }
    return users;
  }
  Names named() const {
    Names names;
    for (const Damage& damage : check_all().damage) {
      if (!damage.tag.empty()) names.insert({damage.tag, damage.tensor});
    }
    return names;
  }

  Trainer trainer_{1};
};

TEST_F(DamagedChain, EveryTensorThatNeedsTheBaseIsNamedAndNoOther) {
  for (const char* name : {"p.first", "p.second", "p.weight", "p.master"}) {
    const Copy base = copy_of("1", name);
    damage(base);
    const auto loaded = load_tensor("3", name);
    ASSERT_TRUE(fails_with(Code::kCorrupt, loaded));
    EXPECT_NE(loaded.error().message.find(base.pack.session.hex()), std::string::npos);
    EXPECT_NE(loaded.error().message.find("offset " + std::to_string(base.offset)),
              std::string::npos)
        << loaded.error().message;
    EXPECT_NE(loaded.error().message.find("tag '3', tensor '" + std::string(name) + "'"),
              std::string::npos);
    const Names names = named();
    EXPECT_EQ(names, users(base)) << name;
    const Names none = lost();
    EXPECT_TRUE(std::includes(names.begin(), names.end(), none.begin(), none.end())) << name;
    EXPECT_TRUE(names.contains({"1", name}) && names.contains({"2", name}));
    for (const auto& [tag, tensor] : names) {
      EXPECT_NE(tag, "other");
      EXPECT_TRUE(tensor.starts_with("p."));
    }
    damage(base);
    EXPECT_TRUE(named().empty());
  }
}

TEST_F(DamagedChain, WhatLiesBelowIsWell) {
  const Copy base = copy_of("2", "q.first", 1);
  damage(base);
  const Names names = named();
  EXPECT_EQ(names, users(base));
  EXPECT_TRUE(names.contains({"2", "q.first"}) && names.contains({"3", "q.first"}));
  for (const auto& [tag, tensor] : names) EXPECT_NE(tag, "1");
}

/// A damaged byte may say that a block has a form of tomorrow; that is no newer format.
TEST_F(DamagedChain, BytesThatLookLikeANewerFormatAreDamage) {
  for (const char* tag : {"1", "3"}) {
    for (const char* name : {"p.first", "p.weight"}) {
      const Copy copy = copy_of(tag, name);
      ASSERT_TRUE(is_known(copy.encoding) && copy.encoding >= Encoding::kPlanes);
      std::fstream file(pack_path(copy), std::ios::in | std::ios::out | std::ios::binary);
      // Of a replay of the first moment the gradient comes first, behind its length.
      const bool has_gradient = copy.encoding == Encoding::kReplay;
      const auto at = static_cast<std::streamoff>(copy.offset + (has_gradient ? 4 : 0));
      const int byte = file.seekg(at).get();
      ASSERT_TRUE(file.seekp(at).put('\x55').flush());
      EXPECT_TRUE(fails_with(Code::kCorrupt, load_tensor(tag, name))) << tag << name;
      EXPECT_TRUE(named().contains({tag, name}));
      ASSERT_TRUE(file.seekp(at).put(static_cast<char>(byte)).flush());
    }
  }
}

TEST_F(DamagedChain, AMissingPackTakesWhatNeedsIt) {
  std::filesystem::remove(pack_path(copy_of("1", "p.first")));
  const Names names = named();
  EXPECT_EQ(names, lost());
  EXPECT_EQ(names.size(), 3u * 8);
  const auto loaded = load_tensor("3", "q.master");
  ASSERT_TRUE(fails_with(Code::kCorrupt, loaded));
  EXPECT_NE(loaded.error().message.find(copy_of("1", "p.first").pack.session.hex()),
            std::string::npos);
}

TEST_F(DamagedChain, WithoutReadingDataMissingPacksAreNamedToo) {
  std::filesystem::remove(pack_path(copy_of("2", "p.first")));
  CheckRequest request;
  request.tags = store_->read_tags()->tags;
  std::set<std::string> tags;
  const auto report = check(*store_, request);
  for (const Damage& damage : report->damage) {
    if (!damage.tag.empty()) tags.insert(damage.tag);
  }
  EXPECT_EQ(tags, (std::set<std::string>{"2", "3"}));
}

TEST_F(DamagedChain, OthersOfOneLoadComeAllTheSame) {
  damage(copy_of("1", "p.first"));
  for (const char* name : {"q.first", "q.second", "q.weight", "q.master"}) {
    EXPECT_TRUE(succeeds(load_tensor("3", name)));
  }
}

TEST_F(DamagedChain, ASaveDoesNotBuildOnIt) {
  damage(copy_of("1", "p.first"));
  damage(copy_of("3", "q.weight"));
  trainer_.step();
  save_trainer("4", trainer_, [](SaveRequest& request) {
    request.base = "3";
    request.restore_budget = 1000;
  });
  expect_exact("4");
  for (const auto& [tag, tensor] : named()) EXPECT_NE(tag, "4");
  EXPECT_GT(encodings("4")["replay"], 0u) << "chunks that are whole are built upon";
}

TEST_F(DamagedChain, ASaveOnAMissingPackStandsByItself) {
  std::filesystem::remove(pack_path(copy_of("1", "p.first")));
  // The same state again: what the base has of it cannot be decoded.
  save_trainer("4", trainer_, [](SaveRequest& request) { request.base = "3"; });
  trainer_.step();
  save_trainer("5", trainer_, [](SaveRequest& request) { request.base = "3"; });
  expect_exact("5");
  for (const auto& [tag, tensor] : named()) EXPECT_NE(tag, "5");
}

TEST_F(DamagedChain, ChainsThatAreWellAreReadOnce) {
  CheckRequest request;
  request.tags = store_->read_tags()->tags;
  request.read_percent = 100;
  const auto all = check(*store_, request);
  ASSERT_TRUE(succeeds(all));
  EXPECT_TRUE(all->damage.empty());
  request.read_percent = 0;
  const auto none = check(*store_, request);
  ASSERT_TRUE(succeeds(none));
  EXPECT_LT(none->bytes_read, all->bytes_read);
  const std::atomic<bool> stop = true;
  request.stop = &stop;
  EXPECT_TRUE(fails_with(Code::kCancelled, check(*store_, request)));
}

}  // namespace
}  // namespace cairn
