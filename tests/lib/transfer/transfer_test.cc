// A tag that went to another store is the same tag there, whatever was there before.
#include "lib/transfer/transfer.h"

#include "tests/lib/transfer/transfer_fixture.h"

namespace cairn {
namespace {

TEST_F(TransferTest, ASeriesGoesStepByStepForWhatEachStepStored) {
  std::vector<std::string> tags;
  for (int step = 0; step < 6; ++step) {
    tags.push_back(save_step());
    const auto moved = move(tags.back());
    ASSERT_TRUE(succeeds(moved));
    EXPECT_EQ(moved->manifest, last_saved_.manifest);
    EXPECT_EQ(moved->facts.new_bytes, last_saved_.facts.new_bytes) << tags.back();
    EXPECT_EQ(moved->facts.new_chunks, last_saved_.facts.new_chunks) << tags.back();
    EXPECT_EQ(moved->facts.logical_bytes, moved->facts.new_bytes + moved->reused_bytes);
    EXPECT_LE(moved->moved_bytes, last_saved_.facts.stored_bytes * 105 / 100);
    EXPECT_LE(moved->facts.stored_bytes, last_saved_.facts.stored_bytes * 105 / 100 + 4096);
    if (step > 0) {
      EXPECT_EQ(moved->base, tags[tags.size() - 2]);
    }
  }
  expect_sound_there(tags);
  std::filesystem::remove_all(path());
  expect_sound_there(tags);
}

TEST_F(TransferTest, OneOfASeriesBringsWhatItIsMadeFrom) {
  for (int step = 0; step < 6; ++step) save_step();
  ASSERT_TRUE(succeeds(move("run/04")));
  expect_sound_there({"run/04"});
  ASSERT_TRUE(succeeds(collect(*there_, GcRequest{})));
  expect_sound_there({"run/04"});
  EXPECT_EQ(there_->find_tag("run/04")->step, store_->find_tag("run/04")->step);
  EXPECT_EQ(there_->find_tag("run/04")->created_ns, store_->find_tag("run/04")->created_ns);
}

TEST_F(TransferTest, InAnyOrder) {
  for (int step = 0; step < 6; ++step) save_step();
  std::vector<std::string> tags = {"run/03", "run/05", "run/00", "run/04", "run/01", "run/02"};
  uint64_t moved_bytes = 0;
  for (const std::string& tag : tags) {
    const auto moved = move(tag);
    ASSERT_TRUE(succeeds(moved)) << tag;
    moved_bytes += moved->moved_bytes;
  }
  expect_sound_there(tags);
  uint64_t stored = 0;
  const TagList list = *store_->read_tags();
  for (const TagEntry& tag : list.tags) stored += tag.facts.stored_bytes;
  EXPECT_LE(moved_bytes, stored * 105 / 100) << "nothing goes twice";
}

TEST_F(TransferTest, AfterTagsWentOnEitherSide) {
  for (int step = 0; step < 4; ++step) save_step();
  ASSERT_TRUE(succeeds(move("run/01")));
  forget({"run/00", "run/02"});
  ASSERT_TRUE(succeeds(collect(*store_, GcRequest{})));
  save_step([](SaveRequest& request) { request.tag = "run/04"; });
  states_["run/04"] = trainer_.state();
  states_.erase("run/02");
  store_ = *Store::open(posix_fs(), path());
  ASSERT_TRUE(succeeds(move("run/03")));
  expect_sound_there({"run/01", "run/03"});
}

TEST_F(TransferTest, CopiesMovedByACollectionOnEitherSide) {
  for (int step = 0; step < 4; ++step) save_step();
  ASSERT_TRUE(succeeds(move("run/02")));
  GcRequest all;
  all.move.min_dead_percent = 0;
  ASSERT_TRUE(succeeds(collect(*there_, all)));
  forget({"run/00"});
  ASSERT_TRUE(succeeds(collect(*store_, all)));
  ASSERT_TRUE(succeeds(move("run/03")));
  expect_sound_there({"run/02", "run/03"});
}

TEST_F(TransferTest, CutAmongWriters) {
  save_step({}, {3, 0});
  save_step({}, {3, 0});
  save_step({}, {2, 1});
  for (const char* tag : {"run/00", "run/01", "run/02"}) ASSERT_TRUE(succeeds(move(tag)));
  expect_sound_there({"run/00", "run/01", "run/02"});
  EXPECT_EQ(there_->find_tag("run/02")->layout.has_value(),
            store_->find_tag("run/02")->layout.has_value());
}

TEST_F(TransferTest, OntoASaveOfTheDestinationsOwn) {
  save_step();
  std::swap(store_, there_);
  ASSERT_TRUE(succeeds(save(*store_, request_of("own/same-state", states_["run/00"], {1, 0}))));
  std::swap(store_, there_);
  const auto moved = move("run/00");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->base, "own/same-state");
  EXPECT_EQ(moved->moved_bytes, 0u);
  EXPECT_EQ(moved->facts.new_bytes, 0u);
  EXPECT_EQ(there_->find_tag("own/same-state")->manifest.digest, moved->manifest);
  save_step();
  ASSERT_TRUE(succeeds(move("run/01")));
  ASSERT_TRUE(succeeds(
      forget_tags(*there_, {*there_->find_tag("own/same-state")}, true, std::chrono::seconds(0))));
  ASSERT_TRUE(succeeds(collect(*there_, GcRequest{})));
  expect_sound_there({"run/00", "run/01"});
}

TEST_F(TransferTest, AgainIsNothing) {
  save_step();
  ASSERT_TRUE(succeeds(move("run/00")));
  const size_t files = files_in(there_path());
  const auto again = move("run/00");
  ASSERT_TRUE(succeeds(again));
  EXPECT_TRUE(again->already_there);
  EXPECT_EQ(again->facts.new_bytes, 0u);
  EXPECT_EQ(again->facts.stored_bytes, 0u);
  EXPECT_EQ(again->reused_bytes, again->facts.logical_bytes);
  EXPECT_EQ(files_in(there_path()), files);
}

TEST_F(TransferTest, ANameThatIsTaken) {
  save_step();
  save_step();
  ASSERT_TRUE(succeeds(move("run/00")));
  TransferRequest request;
  request.tag = "run/01";
  request.as = "run/00";
  EXPECT_TRUE(fails_with(Code::kExists, transfer_tag(*store_, *there_, request)));
  request.if_exists = IfExists::kReplace;
  ASSERT_TRUE(succeeds(transfer_tag(*store_, *there_, request)));
  EXPECT_EQ(there_->find_tag("run/00")->manifest.digest,
            store_->find_tag("run/01")->manifest.digest);
  request.as = "other";
  request.if_exists = IfExists::kError;
  ASSERT_TRUE(succeeds(transfer_tag(*store_, *there_, request)));
  EXPECT_TRUE(fails_with(Code::kExists, transfer_tag(*store_, *there_, request)));
}

TEST_F(TransferTest, ADryRunTellsWhatMoves) {
  save_step();
  save_step();
  ASSERT_TRUE(succeeds(move("run/00")));
  const size_t files = files_in(there_path());
  TransferRequest request;
  request.tag = "run/01";
  request.dry_run = true;
  const auto told = transfer_tag(*store_, *there_, request);
  ASSERT_TRUE(succeeds(told));
  EXPECT_EQ(files_in(there_path()), files);
  const auto moved = move("run/01");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(told->moved_bytes, moved->moved_bytes);
  EXPECT_EQ(told->facts.new_bytes, moved->facts.new_bytes);
}

TEST_F(TransferTest, DamageIsNamedAndWhatIsWholeStays) {
  save_step();
  save_step();
  spoil_packs(path());
  const auto moved = move("run/01");
  ASSERT_TRUE(fails_with(Code::kCorrupt, moved));
  EXPECT_NE(moved.error().message.find("packs/"), std::string::npos) << moved.error().message;
  // For who mends the source, or has the tag elsewhere; else for a collection.
  EXPECT_EQ(files_in(there_path() + "/sessions"), 1u);
  ASSERT_TRUE(succeeds(collect(*there_, GcRequest{})));
  EXPECT_EQ(files_in(there_path() + "/sessions") + files_in(there_path() + "/packs"), 0u);
  EXPECT_TRUE(fails_with(Code::kNotFound, there_->find_tag("run/01")));
}

TEST_F(TransferTest, ReadsThatAreSpoiledOnTheirWay) {
  constexpr size_t kPlaces = 16;
  const std::string tag = save_step();
  FaultFs network(posix_fs());
  const auto from = *Store::open(network, path());
  size_t reads = 0, spoiled = 2, place = 0;
  network.after_read = [&](const std::string& file, MutableBytes bytes) {
    if (file.find("/packs/") == std::string::npos || ++reads > spoiled) return;
    // First a copy behind, then one that was whole before.
    (reads == 1 ? bytes.back() : bytes[bytes.size() * place / kPlaces]) ^= uint8_t{1};
  };
  TransferRequest request;
  request.tag = tag;
  request.connections = 1;
  for (; place < kPlaces; ++place) {
    reads = 0;
    EXPECT_TRUE(fails_with(Code::kCorrupt, transfer_tag(*from, *there_, request))) << place;
    EXPECT_EQ(reads, 2u);
  }
  reads = 0;
  spoiled = 1;
  EXPECT_TRUE(succeeds(transfer_tag(*from, *there_, request)));
  EXPECT_GT(reads, 1u);
  expect_sound_there({tag});
}

TEST_F(TransferTest, ADamagedDestinationIsNotBuiltUpon) {
  for (int step = 0; step < 3; ++step) save_step();
  ASSERT_TRUE(succeeds(move("run/01")));
  for (const auto& pack : std::filesystem::recursive_directory_iterator(there_path() + "/packs")) {
    if (pack.is_regular_file()) std::filesystem::remove(pack.path());
  }
  there_ = *Store::open(posix_fs(), there_path());
  const auto moved = move("run/02");
  ASSERT_TRUE(succeeds(moved));
  ASSERT_TRUE(
      succeeds(forget_tags(*there_, {*there_->find_tag("run/01")}, true, std::chrono::seconds(0))));
  expect_sound_there({"run/02"});
}

TEST_F(TransferTest, WhatALookUpFindsIsNotFetched) {
  SaveRequest plain = request_of("plain", trainer_.state(), {1, 0});
  plain.zstd_level = 1;
  ASSERT_TRUE(succeeds(save(*store_, plain)));
  states_["plain"] = trainer_.state();
  ASSERT_TRUE(succeeds(move("plain")));
  auto standing = *open_tag(*there_, "plain");
  std::map<Digest, Copy> copies;
  for (size_t number = 0; number < standing->table().pages.size(); ++number) {
    const auto page = *standing->page(number);
    for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) {
      copies[page->digest_of(slot)] = page->locator.copies[slot];
    }
  }
  const TagEntry entry = *there_->find_tag("plain");
  ASSERT_TRUE(succeeds(forget_tags(*there_, {entry}, true, std::chrono::seconds(0))));
  TransferRequest request;
  request.tag = "plain";
  request.look_up = [&](const std::vector<Digest>& wanted,
                        std::vector<std::optional<Copy>>& found) -> Status {
    for (size_t i = 0; i < wanted.size(); ++i) {
      const auto known = copies.find(wanted[i]);
      if (known != copies.end()) found.at(i) = known->second;
    }
    return {};
  };
  const auto moved = transfer_tag(*store_, *there_, request);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->moved_bytes, 0u);
  expect_sound_there({"plain"});
}

TEST_F(TransferTest, OtherRulesAreRefused) {
  save_step();
  Config config = store_->config();
  config.chunk_elements *= 2;
  ASSERT_TRUE(Store::init(posix_fs(), folder_ / "wide", config));
  there_ = *Store::open(posix_fs(), folder_ / "wide");
  const auto moved = move("run/00");
  ASSERT_TRUE(fails_with(Code::kUsage, moved));
  EXPECT_NE(moved.error().hint.find("--chunk-elements 1024"), std::string::npos);
}

TEST_F(TransferTest, NoSuchTag) {
  save_step();
  EXPECT_TRUE(fails_with(Code::kNotFound, move("run/99")));
}

TEST_F(TransferTest, GoesOnFromWhereItWasLeft) {
  for (int step = 0; step < 3; ++step) save_step();
  TransferRequest request;
  request.tag = "run/02";
  request.connections = 1;
  request.dry_run = true;
  const uint64_t whole = transfer_tag(*store_, *there_, request)->moved_bytes;
  request.dry_run = false;
  FaultFs network(posix_fs());
  const auto from = open_behind(network);
  const auto cut = transfer_tag(*from, *there_, request);
  ASSERT_TRUE(fails_with(Code::kUnreachable, cut));
  EXPECT_NE(cut.error().hint.find("goes on from there"), std::string::npos);
  EXPECT_TRUE(fails_with(Code::kNotFound, there_->find_tag("run/02")));
  network.heal();
  const auto moved = transfer_tag(*from, *there_, request);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_GT(moved->resumed_bytes, 0u);
  EXPECT_EQ(moved->moved_bytes, whole);
  EXPECT_LE(moved->received_bytes + moved->resumed_bytes, whole + 4096);
  expect_sound_there({"run/02"});
  EXPECT_TRUE(posix_fs().list(there_path() + "/sessions")->empty());
  ASSERT_TRUE(succeeds(collect(*there_, GcRequest{})));
  expect_sound_there({"run/02"});
}

TEST_F(TransferTest, WhatWasLeftAndIsDamagedIsFetchedAgain) {
  for (int step = 0; step < 3; ++step) save_step();
  FaultFs network(posix_fs());
  const auto from = open_behind(network);
  TransferRequest request;
  request.tag = "run/02";
  request.connections = 1;
  ASSERT_TRUE(fails_with(Code::kUnreachable, transfer_tag(*from, *there_, request)));
  spoil_packs(there_path());
  network.heal();
  ASSERT_TRUE(succeeds(transfer_tag(*from, *there_, request)));
  expect_sound_there({"run/02"});
}

TEST_F(TransferTest, ACollectionTakesWhatWasLeft) {
  save_step();
  save_step();
  FaultFs network(posix_fs());
  const auto from = open_behind(network);
  TransferRequest request;
  request.tag = "run/01";
  request.connections = 1;
  ASSERT_TRUE(fails_with(Code::kUnreachable, transfer_tag(*from, *there_, request)));
  ASSERT_TRUE(succeeds(collect(*there_, GcRequest{})));
  EXPECT_EQ(files_in(there_path() + "/packs"), 0u);
  EXPECT_EQ(files_in(there_path() + "/sessions"), 0u);
  network.heal();
  const auto moved = transfer_tag(*from, *there_, request);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->resumed_bytes, 0u);
  expect_sound_there({"run/01"});
}

TEST_F(TransferTest, AStopLeavesNothing) {
  save_step();
  const size_t files = files_in(there_path());
  const std::atomic<bool> stop = true;
  TransferRequest request;
  request.tag = "run/00";
  request.call.stop = &stop;
  EXPECT_TRUE(fails_with(Code::kCancelled, transfer_tag(*store_, *there_, request)));
  EXPECT_LE(files_in(there_path()), files + 1) << "a journal at most";
}

}  // namespace
}  // namespace cairn
