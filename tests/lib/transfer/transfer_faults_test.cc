// What a transfer meets in the store that it goes to: damage, other processes, a full disk. Nothing
// that has arrived is lost but what a tag might stand on.
#include <random>

#include "store/arrivals.h"
#include "tests/lib/transfer/transfer_fixture.h"

namespace cairn {
namespace {

class TransferFaultsTest : public TransferTest {
 protected:
  TransferFaultsTest() : faults_(posix_fs()) {}

  void SetUp() override {
    TransferTest::SetUp();
    faulty_ = *Store::open(faults_, there_path());
    request_.connections = 1;
    request_.call.wait = std::chrono::milliseconds(0);
  }

  Result<TransferResult> move_faulty(const std::string& tag) {
    request_.tag = tag;
    return transfer_tag(*store_, *faulty_, request_);
  }

  /// All of the tag arrives, and its commit finds no room.
  void leave_behind(const std::string& tag) {
    faults_.fail_next(FsCall::kCreate, "/root.", Code::kNoSpace);
    ASSERT_TRUE(fails_with(Code::kNoSpace, move_faulty(tag)));
    faults_.heal();
  }

  /// Does `act` before the call of that kind, on a path with that part, that is the `number`-th
  /// (from 1).
  void act_before(FsCall call, const std::string& path_part, int number,
                  const std::function<void()>& act) {
    faults_.counts = [=, met = std::make_shared<int>(0)](FsCall other, const std::string& path) {
      const bool is_it = other == call && path.find(path_part) != std::string::npos;
      if (is_it && ++*met == number) act();
      return false;
    };
  }

  void forget_there(const std::string& tag) const {
    const auto entry = there_->find_tag(tag);
    if (!entry) return;
    ASSERT_TRUE(succeeds(forget_tags(*there_, {*entry}, true, std::chrono::seconds(0))));
  }

  /// Changes a byte of an object.
  void spoil(const Reference& object) const {
    const std::string file = there_path() + "/" + relative_path(FileKind::kMeta, object.file);
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(object.offset + object.bytes / 2));
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(static_cast<std::streamoff>(object.offset + object.bytes / 2));
    stream.put(byte);
  }

  std::vector<std::string> sessions_there() const {
    std::vector<std::string> names;
    const auto entries = *posix_fs().list(there_path() + "/sessions");
    for (const FolderEntry& entry : entries) names.push_back(entry.name);
    return names;
  }

  FaultFs faults_;
  std::unique_ptr<Store> faulty_;
  TransferRequest request_;
};

TEST_F(TransferFaultsTest, ACommitThatFindsNoRoomLeavesWhatArrived) {
  save_step();
  faults_.fail_next(FsCall::kCreate, "/root.", Code::kNoSpace);
  const auto full = move_faulty("run/00");
  ASSERT_TRUE(fails_with(Code::kNoSpace, full));
  EXPECT_NE(full.error().hint.find("goes on from there"), std::string::npos);
  faults_.heal();
  const auto moved = move_faulty("run/00");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->received_bytes, 0u);
  EXPECT_EQ(moved->resumed_bytes, moved->moved_bytes);
  EXPECT_TRUE(sessions_there().empty());
  expect_sound_there({"run/00"});
}

TEST_F(TransferFaultsTest, ACommitThatIsStoppedOrWaitsInVainLeavesWhatArrived) {
  save_step();
  std::atomic<bool> stop = false;
  request_.call.stop = &stop;
  for (const Code code : {Code::kBusy, Code::kCancelled}) {
    const auto lock = posix_fs().lock(there_path() + "/lock", std::chrono::seconds(0));
    ASSERT_TRUE(succeeds(lock));
    request_.call.wait = std::chrono::seconds(code == Code::kCancelled ? 60 : 0);
    act_before(FsCall::kLock, "/lock", 1, [&] { stop = code == Code::kCancelled; });
    ASSERT_TRUE(fails_with(code, move_faulty("run/00")));
    EXPECT_TRUE(fails_with(Code::kNotFound, there_->find_tag("run/00")));
  }
  stop = false;
  faults_.heal();
  const auto moved = move_faulty("run/00");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->received_bytes, 0u);
  expect_sound_there({"run/00"});
}

TEST_F(TransferFaultsTest, ACommitWhoseAnswerIsLostLeavesNothingToGoOnFrom) {
  save_step();
  faults_.fail_next(FsCall::kRename, "/root.");
  faults_.takes_effect = true;
  ASSERT_TRUE(fails_with(Code::kFailed, move_faulty("run/00")));
  ASSERT_TRUE(succeeds(there_->find_tag("run/00")));
  EXPECT_TRUE(sessions_there().empty());
  faults_.heal();
  const auto again = move_faulty("run/00");
  ASSERT_TRUE(succeeds(again));
  EXPECT_TRUE(again->already_there);
  expect_sound_there({"run/00"});
}

TEST_F(TransferFaultsTest, WhileItCommitsNobodyTakesWhatArrived) {
  save_step();
  save_step();
  size_t tried = 0;
  // Under the name that it has then, the journal must not be one to go on from.
  act_before(FsCall::kRename, "/root.", 1, [&] {
    EXPECT_TRUE(take_left_arrivals(*there_, {}).left.empty());
    ++tried;
  });
  ASSERT_TRUE(succeeds(move_faulty("run/00")));
  EXPECT_EQ(tried, 1u);
}

TEST_F(TransferFaultsTest, ALookUpThatWasWrongAtLastCostsOnlyWhatItFound) {
  SaveRequest plain = request_of("plain", trainer_.state(), {1, 0});
  plain.zstd_level = 1;
  ASSERT_TRUE(succeeds(save(*store_, plain)));
  states_["plain"] = trainer_.state();
  ASSERT_TRUE(succeeds(move("plain")));
  auto standing = *open_tag(*there_, "plain");
  std::map<Digest, Copy> copies;
  for (size_t number = 0; number < standing->table().pages.size(); ++number) {
    const auto page = *standing->page(number);
    for (uint32_t slot = 0; slot < page->locator.copies.size(); slot += 2) {
      copies[page->digest_of(slot)] = page->locator.copies[slot];
    }
  }
  forget_there("plain");
  request_.look_up = [&](const std::vector<Digest>& wanted,
                         std::vector<std::optional<Copy>>& found) -> Status {
    for (size_t i = 0; i < wanted.size(); ++i) {
      const auto known = copies.find(wanted[i]);
      if (known != copies.end()) found.at(i) = known->second;
    }
    return {};
  };
  const FileId lost = copies.begin()->second.pack;
  act_before(FsCall::kLock, "/lock", 1, [&] {
    std::filesystem::remove(there_path() + "/" + relative_path(FileKind::kPack, lost));
  });
  const auto moved = move_faulty("plain");
  ASSERT_TRUE(succeeds(moved));
  // Of two copies beside each other one was found, and the other fetched before it was lost.
  EXPECT_GT(moved->resumed_bytes, moved->moved_bytes * 4 / 10);
  EXPECT_LT(moved->resumed_bytes, moved->moved_bytes * 6 / 10);
  expect_sound_there({"plain"});
  EXPECT_TRUE(sessions_there().empty());
}

TEST_F(TransferFaultsTest, ABaseThatCannotBeReadIsPassedOver) {
  for (int step = 0; step < 3; ++step) save_step();
  const std::vector<std::string> parts = {"manifest", "schema", "table", "page", "locator"};
  for (const std::string& part : parts) {
    std::filesystem::remove_all(there_path());
    ASSERT_TRUE(succeeds(Store::init(posix_fs(), there_path(), store_->config())));
    there_ = *Store::open(posix_fs(), there_path());
    ASSERT_TRUE(succeeds(move("run/00")));
    ASSERT_TRUE(succeeds(move("run/01")));
    const TagEntry entry = *there_->find_tag("run/01");
    const auto damaged = *Checkpoint::open(*there_, entry);
    const PagePlace& place = damaged->table().pages.front();
    spoil(part == "manifest" ? entry.manifest
          : part == "schema" ? entry.schema
          : part == "table"  ? entry.table
          : part == "page"   ? place.page
                             : place.locator);
    there_ = *Store::open(posix_fs(), there_path());
    TransferRequest request;
    request.tag = "run/02";
    request.dry_run = true;
    for (const bool dry_run : {true, false}) {
      request.dry_run = dry_run;
      const auto moved = transfer_tag(*store_, *there_, request);
      ASSERT_TRUE(succeeds(moved)) << part;
      ASSERT_FALSE(moved->notes.empty()) << part;
      EXPECT_NE(moved->notes[0].find("'run/01'"), std::string::npos) << moved->notes[0];
      EXPECT_EQ(moved->base, part == "schema" ? "" : "run/00") << part;
    }
    forget_there("run/01");
    if (part == "schema") forget_there("run/00");
    expect_sound_there(part == "schema" ? std::vector<std::string>{"run/02"}
                                        : std::vector<std::string>{"run/00", "run/02"});
  }
}

TEST_F(TransferFaultsTest, ABaseWhoseBytesAreDamagedIsNotBuiltUpon) {
  for (int step = 0; step < 3; ++step) save_step();
  ASSERT_TRUE(succeeds(move("run/00")));
  ASSERT_TRUE(succeeds(move("run/01")));
  spoil_packs(there_path());
  const auto moved = move("run/02");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->notes.size(), 2u) << "both have damaged bytes that it would be made from";
  EXPECT_GT(moved->resumed_bytes, 0u);
  EXPECT_TRUE(sessions_there().empty());
  forget_there("run/00");
  forget_there("run/01");
  expect_sound_there({"run/02"});
}

TEST_F(TransferFaultsTest, ABaseThatIsNotReachedIsNotOneThatLacksIt) {
  for (int step = 0; step < 2; ++step) save_step();
  ASSERT_TRUE(succeeds(move("run/00")));
  const size_t packs = files_in(there_path() + "/packs");
  faults_.fail_next(FsCall::kOpen, "/packs/", Code::kUnreachable);
  faults_.for_ever = true;
  EXPECT_TRUE(fails_with(Code::kUnreachable, move_faulty("run/01")));
  EXPECT_EQ(files_in(there_path() + "/packs"), packs);
  faults_.heal();
  ASSERT_TRUE(succeeds(move_faulty("run/01")));
  expect_sound_there({"run/00", "run/01"});
}

TEST_F(TransferFaultsTest, ABaseThatGoesMeanwhileIsDoneWithout) {
  for (int step = 0; step < 2; ++step) save_step();
  // The next time it is read under the lock of the commit.
  for (int number = 1; number <= 4; ++number) {
    ASSERT_TRUE(succeeds(move("run/00")));
    act_before(FsCall::kOpen, "/root", number, [&] { forget_there("run/00"); });
    const auto moved = move_faulty("run/01");
    ASSERT_TRUE(succeeds(moved)) << number;
    faults_.heal();
    forget_there("run/00");
    expect_sound_there({"run/01"});
    forget_there("run/01");
  }
}

TEST_F(TransferFaultsTest, AnotherTagGoesOnFromWhatItCanUse) {
  save_step();
  save_step();
  // One that has all of run/01 but for its name.
  save_state("twin", trainer_.state(), {}, [](SaveRequest& request) {
    request.base = "run/01";
    request.step = 99;
  });
  leave_behind("run/01");
  request_.dry_run = true;
  const auto would = move_faulty("twin");
  ASSERT_TRUE(succeeds(would));
  EXPECT_GT(would->resumed_bytes, would->moved_bytes / 2);
  request_.dry_run = false;
  const auto moved = move_faulty("twin");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->resumed_bytes, would->resumed_bytes);
  EXPECT_EQ(moved->received_bytes, moved->moved_bytes - moved->resumed_bytes);
  expect_sound_there({"twin"});
}

TEST_F(TransferFaultsTest, APackThatIsMostlyAnotherTagsIsLeftToIt) {
  save_step();
  trainer_.add("more", {3000});
  save_step();
  leave_behind("run/01");
  TransferRequest part;
  part.tag = "run/01";
  part.tensors = {"*vector*"};
  part.as = "part";
  const auto moved = transfer_tag(*store_, *there_, part);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->resumed_bytes, 0u);
  // The tag that it was of still goes on from there, as far as the part has not brought the same.
  const auto whole = move_faulty("run/01");
  ASSERT_TRUE(succeeds(whole));
  EXPECT_EQ(whole->received_bytes, 0u);
  EXPECT_EQ(whole->resumed_bytes, whole->moved_bytes);
  EXPECT_TRUE(sessions_there().empty());
}

TEST_F(TransferFaultsTest, ItGoesOnFromAnotherStoreThatHasTheTag) {
  for (int step = 0; step < 3; ++step) save_step();
  const std::string mirror_path = folder_ / "mirror";
  ASSERT_TRUE(succeeds(Store::init(posix_fs(), mirror_path, store_->config())));
  const auto mirror = *Store::open(posix_fs(), mirror_path);
  request_.tag = "run/02";
  ASSERT_TRUE(succeeds(transfer_tag(*store_, *mirror, request_)));
  leave_behind("run/02");
  const auto moved = transfer_tag(*mirror, *there_, request_);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->received_bytes, 0u);
  EXPECT_EQ(moved->resumed_bytes, moved->moved_bytes);
  EXPECT_TRUE(sessions_there().empty());
  expect_sound_there({"run/02"});
}

TEST_F(TransferFaultsTest, WhatTheSourceHasLostDoesNotCostWhatCameBefore) {
  for (int step = 0; step < 3; ++step) save_step();
  FaultFs network(posix_fs());
  const auto from = open_behind(network);
  request_.tag = "run/02";
  // A pack that is gone is damage where the tag still names it.
  for (const Code code : {Code::kCorrupt, Code::kNotFound}) {
    network.error.code = code;
    network.calls = 0;
    ASSERT_TRUE(fails_with(Code::kCorrupt, transfer_tag(*from, *there_, request_)));
    EXPECT_FALSE(sessions_there().empty()) << "a journal to go on from";
  }
  const auto moved = move_faulty("run/02");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_GT(moved->resumed_bytes, 0u);
  EXPECT_TRUE(sessions_there().empty());
  expect_sound_there({"run/02"});
}

TEST_F(TransferFaultsTest, ACollectionOfTheSourceCostsOnlyWhatWasNotYetFetched) {
  // What no other step is made from, so that a step that is forgotten leaves holes in its pack.
  std::mt19937 random(1);
  for (int step = 0; step < 4; ++step) {
    trainer_.step();
    State state = trainer_.state();
    auto noise = state.begin()->second;
    for (uint8_t& byte : noise.bytes) byte = static_cast<uint8_t>(random());
    state["noise"] = noise;
    save_state(fmt::format("run/{:02}", step), state, trainer_.facts());
  }
  FaultFs network(posix_fs());
  const auto from = *Store::open(network, path());
  GcRequest all;
  all.move.min_dead_percent = 0;
  network.counts = [&, reads = std::make_shared<int>(0)](FsCall call, const std::string& file) {
    const bool is_read = call == FsCall::kRead && file.find("/packs/") != std::string::npos;
    if (is_read && ++*reads == 2) {
      forget({"run/00", "run/01", "run/02"});
      const auto collected = collect(*store_, all);
      EXPECT_TRUE(collected && collected->packs_rewritten > 1);
    }
    return false;
  };
  request_.tag = "run/03";
  const auto moved = transfer_tag(*from, *there_, request_);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_GT(moved->resumed_bytes, 0u);
  EXPECT_LT(moved->received_bytes, moved->moved_bytes * 11 / 10);
  EXPECT_TRUE(sessions_there().empty());
  expect_sound_there({"run/03"});
}

TEST_F(TransferFaultsTest, WhatWasLeftStaysUntilATagStandsOnIt) {
  for (int step = 0; step < 3; ++step) save_step();
  leave_behind("run/02");
  // One that can use nothing of it, since all comes by itself, and does not come to its end.
  request_.rebase = true;
  leave_behind("run/02");
  request_.rebase = false;
  const auto moved = move_faulty("run/02");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->received_bytes, 0u);
  EXPECT_EQ(moved->resumed_bytes, moved->moved_bytes);
  EXPECT_TRUE(sessions_there().empty());
  expect_sound_there({"run/02"});
}

TEST_F(TransferFaultsTest, WhatAnotherTagCannotTakeOverStaysThere) {
  for (int step = 0; step < 2; ++step) save_step();
  save_state("twin", trainer_.state(), {}, [](SaveRequest& request) {
    request.base = "run/01";
    request.step = 99;
  });
  leave_behind("run/01");
  faults_.fail_next(FsCall::kRename, "/packs/");
  faults_.for_ever = true;
  const auto twin = move_faulty("twin");
  ASSERT_TRUE(succeeds(twin));
  EXPECT_EQ(twin->resumed_bytes, 0u);
  faults_.heal();
  EXPECT_EQ(sessions_there().size(), 1u) << "the journal of run/01";
}

TEST_F(TransferFaultsTest, ADryRunTellsWhatWouldBeStored) {
  for (int step = 0; step < 2; ++step) save_step();
  request_.dry_run = true;
  const auto would = move_faulty("run/01");
  ASSERT_TRUE(succeeds(would));
  EXPECT_EQ(would->facts.stored_bytes, would->moved_bytes);
  request_.dry_run = false;
  ASSERT_TRUE(succeeds(move_faulty("run/01")));
  request_.dry_run = true;
  request_.as = "again";
  request_.tensors = {"*"};
  const auto again = move_faulty("run/01");
  ASSERT_TRUE(succeeds(again));
  EXPECT_EQ(again->moved_bytes, 0u);
  EXPECT_EQ(again->facts.stored_bytes, 0u);
}

TEST_F(TransferFaultsTest, WhatCannotBeTakenOverIsFetchedAgain) {
  for (int step = 0; step < 3; ++step) save_step();
  FaultFs network(posix_fs());
  const auto from = open_behind(network);
  request_.tag = "run/02";
  ASSERT_TRUE(fails_with(Code::kUnreachable, transfer_tag(*from, *there_, request_)));
  faults_.fail_next(FsCall::kRename, "/packs/");
  const auto moved = move_faulty("run/02");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->resumed_bytes, 0u);
  ASSERT_EQ(moved->notes.size(), 1u);
  EXPECT_NE(moved->notes[0].find("injected fault"), std::string::npos) << moved->notes[0];
  expect_sound_there({"run/02"});
}

}  // namespace
}  // namespace cairn
