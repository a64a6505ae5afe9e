// Ranks that do not talk: who comes last makes the tag, all learn what became of it, and who does
// not come is named.
#include "lib/part_meeting.h"

#include <fmt/format.h>

#include <thread>

#include "store/gc/collect.h"
#include "store/meetings.h"
#include "store/session.h"
#include "tests/lib/store_fixture.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

using Told = Result<nlohmann::ordered_json>;

class PartMeeting : public StoreFixture {
 protected:
  static constexpr uint32_t kRanks = 3;

  SaveRequest request_of(uint32_t rank, int64_t step = 7) const {
    SaveRequest request;
    request.tag = "run/7";
    request.step = step;
    request.tensors = {cut("w", {48, 64}, data_, 0, kRanks, true)[rank]};
    return request;
  }

  Told come(const SaveRequest& request, const Meeting& meeting) const {
    auto part = save_part(*store_, request);
    if (!part) return tl::unexpected(part.error());
    SaveRequest bare = request;
    bare.tensors.clear();
    return meet(*store_, bare, **part, meeting);
  }

  std::vector<Told> all_come(std::chrono::milliseconds longest, uint32_t ranks,
                             const std::function<SaveRequest(uint32_t)>& request) const {
    std::vector<Told> told(ranks, Told());
    std::vector<std::thread> threads;
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        told[rank] = come(request(rank), {rank, kRanks, longest});
      });
    }
    for (std::thread& thread : threads) thread.join();
    return told;
  }

  std::vector<std::string> sessions() const {
    std::vector<std::string> names;
    const auto entries = posix_fs().list(path() + "/sessions");
    for (const FolderEntry& entry : *entries) {
      if (entry.name != "meetings.lock") names.push_back(entry.name);
    }
    return names;
  }

  const Bytes data_ = noise(48 * 64 * 2, 1);
};

constexpr std::chrono::seconds kLong{60};

TEST_F(PartMeeting, AllLearnOfOneTag) {
  const auto told = all_come(kLong, kRanks, [&](uint32_t rank) { return request_of(rank); });
  for (const Told& each : told) {
    ASSERT_TRUE(each) << each.error().message;
    EXPECT_EQ(*each, *told[0]);
  }
  EXPECT_EQ(load_whole("run/7", "w", {48, 64}), data_);
  EXPECT_TRUE(sessions().empty()) << "nothing of the meeting is left";
}

TEST_F(PartMeeting, WhoDoesNotComeIsNamed) {
  const auto told = all_come(std::chrono::milliseconds(300), kRanks - 1,
                             [&](uint32_t rank) { return request_of(rank); });
  for (const Told& each : told) {
    ASSERT_TRUE(fails_with(Code::kUnreachable, each));
    EXPECT_NE(each.error().message.find("rank 2 did not come"), std::string::npos)
        << each.error().message;
  }
  EXPECT_TRUE(store_->read_tags()->tags.empty());
  EXPECT_TRUE(sessions().empty());
}

TEST_F(PartMeeting, OtherStepsDoNotBecomeOneTag) {
  const auto told = all_come(std::chrono::milliseconds(500), kRanks,
                             [&](uint32_t rank) { return request_of(rank, rank == 1 ? 8 : 7); });
  EXPECT_TRUE(std::any_of(told.begin(), told.end(), [](const Told& each) {
    return !each && each.error().code == Code::kUsage &&
           each.error().message.find("of step 8") != std::string::npos;
  }));
  EXPECT_TRUE(std::none_of(told.begin(), told.end(), [](const Told& each) { return bool(each); }));
  EXPECT_TRUE(store_->read_tags()->tags.empty());
}

TEST_F(PartMeeting, AllLearnWhyThereIsNoTag) {
  const auto told = all_come(kLong, kRanks, [&](uint32_t rank) {
    SaveRequest request = request_of(rank);
    if (rank == 2) request.tensors[0].box.lengths[0] -= 1;
    return request;
  });
  for (const Told& each : told) {
    ASSERT_TRUE(fails_with(Code::kUsage, each));
    EXPECT_NE(each.error().message.find("no box holds"), std::string::npos);
  }
  EXPECT_TRUE(sessions().empty());
}

TEST_F(PartMeeting, GcTakesWhatTheDeadHaveLeft) {
  const SessionId gone = *SessionId::fresh();
  const std::string announcement = announcement_path(path(), gone);
  const std::string forged = R"({"tag": "run/7", "rank": "x"})";
  ASSERT_TRUE(write_new_file(posix_fs(), announcement, as_bytes(forged)));
  const auto told = all_come(kLong, kRanks, [&](uint32_t rank) { return request_of(rank); });
  for (const Told& each : told) EXPECT_TRUE(each) << "what is no announcement is passed over";
  ASSERT_TRUE(collect(*store_, {}));
  EXPECT_FALSE(file_exists(posix_fs(), announcement));
}

TEST_F(PartMeeting, WhatTheDeadHaveAnnouncedIsNoMatter) {
  const SessionId dead = *SessionId::fresh();
  ASSERT_TRUE(
      write_new_file(posix_fs(), lease_path(path(), dead), as_bytes(std::string("no lease"))));
  const std::string told =
      R"({"tag": "run/7", "job": "", "step": 7, "rank": 3, "ranks": 4, "part": ")" + dead.hex() +
      R"("})";
  ASSERT_TRUE(write_new_file(posix_fs(), announcement_path(path(), dead), as_bytes(told)));
  const auto all = all_come(kLong, kRanks, [&](uint32_t rank) { return request_of(rank); });
  for (const Told& each : all)
    EXPECT_TRUE(succeeds(each)) << "a lease that cannot be read, unmarked";
}

TEST_F(PartMeeting, JobsDoNotMeetUnderOneTag) {
  std::vector<Told> told(2, Told());
  std::thread other([&] {
    told[0] = come(request_of(0), {0, kRanks, std::chrono::milliseconds(400), "another"});
  });
  told[1] = come(request_of(1), {1, kRanks, std::chrono::milliseconds(400), "one"});
  other.join();
  for (const size_t rank : {0u, 1u}) {
    ASSERT_TRUE(fails_with(Code::kUnreachable, told[rank]));
    const std::string missing = fmt::format("rank {}, rank 2 did not come", 1 - rank);
    EXPECT_NE(told[rank].error().message.find(missing), std::string::npos)
        << told[rank].error().message;
  }
}

TEST_F(PartMeeting, OfTwoProcessesOfOneRankOneIsRefused) {
  Told twin;
  std::thread first([&] { twin = come(request_of(0), {0, kRanks, kLong}); });
  while (list_announcements(*store_)->empty()) std::this_thread::yield();
  const auto told = all_come(kLong, kRanks, [&](uint32_t rank) { return request_of(rank); });
  first.join();
  const auto names_it = [](const Told& each) {
    return !each && each.error().message.find("as rank 0, both alive") != std::string::npos;
  };
  EXPECT_TRUE(names_it(twin) || std::any_of(told.begin(), told.end(), names_it));
  EXPECT_TRUE(list_announcements(*store_)->empty()) << "who fails takes its announcement away";
}

TEST_F(PartMeeting, WhoGivesUpEndsTheMeetingOfAll) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<Told> told(2, Told());
  std::thread patient([&] { told[0] = come(request_of(0), {0, kRanks, kLong}); });
  told[1] = come(request_of(1), {1, kRanks, std::chrono::milliseconds(500)});
  patient.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, kLong / 2);
  for (const Told& each : told) EXPECT_TRUE(fails_with(Code::kUnreachable, each));
}

TEST_F(PartMeeting, ThereIsNoRankBeyondTheLast) {
  EXPECT_TRUE(fails_with(Code::kUsage, come(request_of(0), {3, kRanks, kLong})));
}

}  // namespace
}  // namespace cairn
