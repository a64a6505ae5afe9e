// Journals of what has arrived, and packs that are taken over by them.
#include "store/arrivals.h"

#include <filesystem>
#include <fstream>

#include "store/adopt_pack.h"
#include "store/pack_table.h"
#include "store/pack_writer.h"
#include "store/session.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

class Arrivals : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(succeeds(Store::init(posix_fs(), path(), {})));
    store_ = *Store::open(posix_fs(), path());
    origin_.manifest = blake3(as_bytes("manifest"));
  }
  std::string path() const { return folder_ / "store"; }

  static std::vector<Arrival> some(const SessionId& session, size_t count) {
    std::vector<Arrival> arrivals;
    for (uint32_t i = 0; i < count; ++i) {
      arrivals.push_back(
          {{blake3(as_bytes(std::to_string(i))), 77 + i, 8}, {session, i % 3}, 32 + i * 8});
    }
    return arrivals;
  }

  std::string journal_of(const SessionId& session) const {
    return path() + "/sessions/" + session.hex() + ".arrived";
  }

  std::string left_journal_of(const SessionId& session) const {
    return path() + "/sessions/" + session.hex() + ".left";
  }

  /// Of five arrivals.
  void leave_journal(const SessionId& session) const {
    auto journal = *ArrivalJournal::begin(*store_, session, origin_);
    ASSERT_TRUE(succeeds(journal->note(some(session, 5))));
    ASSERT_TRUE(succeeds(journal->leave()));
  }

  void change_journal(const SessionId& session, std::streamoff at, char byte) const {
    std::fstream file(left_journal_of(session), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put(byte);
  }

  /// Of a process of this host that there cannot be.
  void leave_lease_of_the_dead(const SessionId& session) const {
    Lease lease{LeaseKind::kSave, this_process(), "2026-01-01T00:00:00Z", "t", std::nullopt};
    lease.owner.pid = 0x7ffffff0;
    ASSERT_TRUE(succeeds(
        write_new_file(posix_fs(), lease_path(path(), session), as_bytes(encode_lease(lease)))));
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
  Origin origin_;
};

TEST_F(Arrivals, OfALivingSessionAreItsOwn) {
  const auto session = *Session::begin(posix_fs(), path(), "t", std::nullopt);
  auto journal = *ArrivalJournal::begin(*store_, session->id(), origin_);
  ASSERT_TRUE(succeeds(journal->note(some(session->id(), 5))));
  EXPECT_TRUE(take_left_arrivals(*store_, origin_).left.empty());
  ASSERT_TRUE(succeeds(journal->leave()));
  const auto left = take_left_arrivals(*store_, origin_).left;
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].arrivals, some(session->id(), 5));
  EXPECT_EQ(left[0].origin, origin_);
}

TEST_F(Arrivals, AJournalWithoutALeaseMayHaveAWriter) {
  const auto session = *SessionId::fresh();
  auto journal = *ArrivalJournal::begin(*store_, session, origin_);
  ASSERT_TRUE(succeeds(journal->note(some(session, 5))));
  EXPECT_TRUE(take_left_arrivals(*store_, origin_).left.empty());
}

TEST_F(Arrivals, OfASessionThatCommitsAreNobodys) {
  const auto session = *SessionId::fresh();
  auto journal = *ArrivalJournal::begin(*store_, session, origin_);
  ASSERT_TRUE(succeeds(journal->note(some(session, 5))));
  ASSERT_TRUE(succeeds(journal->hold()));
  leave_lease_of_the_dead(session);
  EXPECT_TRUE(take_left_arrivals(*store_, origin_).left.empty());
  ASSERT_TRUE(succeeds(journal->leave()));
  EXPECT_EQ(take_left_arrivals(*store_, origin_).left.at(0).arrivals, some(session, 5));
}

TEST_F(Arrivals, OfADeadSessionAreLeftFromThenOn) {
  const auto session = *SessionId::fresh();
  const auto journal = *ArrivalJournal::begin(*store_, session, origin_);
  ASSERT_TRUE(succeeds(journal->note(some(session, 5))));
  leave_lease_of_the_dead(session);
  for (int taker = 0; taker < 2; ++taker) {
    // The first is killed before it has taken a pack over.
    EXPECT_EQ(take_left_arrivals(*store_, origin_).left.at(0).arrivals, some(session, 5)) << taker;
    EXPECT_FALSE(std::filesystem::exists(lease_path(path(), session)));
  }
}

TEST_F(Arrivals, WhoOnlyLooksChangesNothing) {
  const auto dead = *SessionId::fresh();
  const auto journal = *ArrivalJournal::begin(*store_, dead, origin_);
  ASSERT_TRUE(succeeds(journal->note(some(dead, 5))));
  leave_lease_of_the_dead(dead);
  const auto clock = posix_fs().info(path() + "/lock")->modified_ns;
  for (int look = 0; look < 2; ++look) {
    EXPECT_EQ(look_at_left_arrivals(*store_, origin_).left.at(0).arrivals, some(dead, 5)) << look;
    EXPECT_TRUE(std::filesystem::exists(lease_path(path(), dead)));
    EXPECT_TRUE(std::filesystem::exists(journal_of(dead)));
    EXPECT_EQ(posix_fs().info(path() + "/lock")->modified_ns, clock);
  }
  const auto living = *Session::begin(posix_fs(), path(), "t", std::nullopt);
  const auto own = *ArrivalJournal::begin(*store_, living->id(), origin_);
  ASSERT_TRUE(succeeds(own->note(some(living->id(), 5))));
  EXPECT_EQ(look_at_left_arrivals(*store_, origin_).left.size(), 1u);
}

TEST_F(Arrivals, OfAnotherVersionAreNothingToGoOnFrom) {
  const auto session = *SessionId::fresh();
  leave_journal(session);
  change_journal(session, 7, '1');
  const FoundArrivals found = take_left_arrivals(*store_, origin_);
  EXPECT_TRUE(found.left.empty());
  EXPECT_TRUE(found.passed_over.empty());
}

TEST_F(Arrivals, DoNotDependOnOtherLeases) {
  const auto session = *SessionId::fresh();
  const auto journal = *ArrivalJournal::begin(*store_, session, origin_);
  ASSERT_TRUE(succeeds(journal->note(some(session, 5))));
  leave_lease_of_the_dead(session);
  const std::string foreign = lease_path(path(), *SessionId::fresh());
  ASSERT_TRUE(succeeds(write_new_file(posix_fs(), foreign, as_bytes("nonsense"))));
  const FoundArrivals found = take_left_arrivals(*store_, origin_);
  EXPECT_TRUE(found.passed_over.empty());
  EXPECT_EQ(found.left.at(0).arrivals, some(session, 5));
}

TEST_F(Arrivals, OfASessionWhoseLeaseCannotBeReadArePassedOver) {
  const auto session = *SessionId::fresh();
  const auto journal = *ArrivalJournal::begin(*store_, session, origin_);
  ASSERT_TRUE(
      succeeds(write_new_file(posix_fs(), lease_path(path(), session), as_bytes("nonsense"))));
  const FoundArrivals found = take_left_arrivals(*store_, origin_);
  EXPECT_TRUE(found.left.empty());
  ASSERT_EQ(found.passed_over.size(), 1u);
  EXPECT_NE(found.passed_over[0].find(session.hex()), std::string::npos) << found.passed_over[0];
}

TEST_F(Arrivals, EndWithTheLastWholeRecord) {
  const auto session = *SessionId::fresh();
  leave_journal(session);
  const std::string left = left_journal_of(session);
  const uint64_t bytes = std::filesystem::file_size(left);
  for (uint64_t cut = 1; cut <= bytes; cut += 37) {
    std::filesystem::resize_file(left, bytes - cut);
    const auto found = take_left_arrivals(*store_, origin_).left;
    const size_t whole = bytes - cut < 56 ? 0 : (bytes - cut - 56) / 88;
    ASSERT_EQ(found.size(), bytes - cut < 56 ? 0u : 1u) << cut;
    if (!found.empty()) {
      EXPECT_EQ(found[0].arrivals, some(session, whole)) << cut;
    }
  }
}

TEST_F(Arrivals, EndBeforeARecordThatWasChanged) {
  const auto session = *SessionId::fresh();
  leave_journal(session);
  change_journal(session, 56 + 2 * 88 + 30, 'x');
  EXPECT_EQ(take_left_arrivals(*store_, origin_).left.at(0).arrivals, some(session, 2));
}

TEST_F(Arrivals, GoWhenTheirSessionHasNoLease) {
  const auto living = *Session::begin(posix_fs(), path(), "t", std::nullopt);
  const auto gone = *SessionId::fresh();
  const auto a = *ArrivalJournal::begin(*store_, living->id(), origin_);
  const auto b = *ArrivalJournal::begin(*store_, gone, origin_);
  EXPECT_TRUE(remove_old_arrivals(*store_).empty());
  EXPECT_TRUE(std::filesystem::exists(journal_of(living->id())));
  EXPECT_FALSE(std::filesystem::exists(journal_of(gone)));
}

TEST_F(Arrivals, APackThatWasLeftBecomesAnothers) {
  const auto from = *SessionId::fresh(), to = *SessionId::fresh();
  const Bytes bytes(100'000, 7);
  const Digest digest = blake3(bytes);
  {
    PackWriter packs(posix_fs(), path(), from, 64 * kMiB);
    ASSERT_TRUE(succeeds(packs.append({digest, Encoding::kRaw, 100'000, bytes})));
    ASSERT_TRUE(succeeds(packs.append({digest, Encoding::kRaw, 100'000, bytes})));
    ASSERT_TRUE(succeeds(packs.finish()));
  }
  const std::deque<PackedCopy> rows = {{digest, 32, 100'000, 100'000, Encoding::kRaw, {}, {}}};
  const auto adopted = adopt_pack(*store_, {from, 0}, {to, 4}, rows);
  ASSERT_TRUE(succeeds(adopted));
  EXPECT_TRUE(fails_with(Code::kNotFound, adopt_pack(*store_, {from, 0}, {to, 5}, rows)));
  const std::string file = path() + "/" + relative_path(FileKind::kPack, {to, 4});
  EXPECT_EQ(std::filesystem::file_size(file), *adopted);
  EXPECT_LT(*adopted, 110'000u) << "the second copy is cut off";
  const auto table = list_copies(posix_fs(), path(), {to, 4});
  ASSERT_TRUE(succeeds(table));
  ASSERT_EQ(table->size(), 1u);
  EXPECT_EQ(table->at(0).digest, digest);
}

}  // namespace
}  // namespace cairn
