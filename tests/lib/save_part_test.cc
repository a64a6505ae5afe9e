// Storing a part of a tag: what it refuses, and what it leaves behind.
#include "lib/save_part.h"

#include "tests/lib/parts_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

using SaveParts = PartsFixture;

TEST_F(SaveParts, EndAsTheyAreTold) {
  const RankRequests all = cut_state("t", state_, {3, 1});
  SavedParts parts = store_parts(all);
  EXPECT_EQ(files_in("sessions").size(), 3u);
  parts[0]->remove();
  EXPECT_EQ(files_in("sessions").size(), 2u);
  EXPECT_EQ(files_in("meta").size(), 2u);
  EXPECT_EQ(files_in("packs").size(), 2u);
  parts[1]->keep();
  parts[1]->remove();
  EXPECT_EQ(files_in("meta").size(), 1u) << "nothing refers to a part";
  EXPECT_EQ(files_in("packs").size(), 2u) << "the tag may need them";
  parts[2].reset();
  EXPECT_TRUE(files_in("sessions").empty());
  EXPECT_EQ(files_in("packs").size(), 2u);
  collect_all();
  EXPECT_TRUE(files_in("packs").empty());
  EXPECT_TRUE(files_in("meta").empty());
}

TEST_F(SaveParts, BoxesOfOnePartAreDisjoint) {
  SaveRequest request = cut_state("t", {{"even", state_["even"]}}, {1, 1})[0];
  request.tensors.push_back(request.tensors[0]);
  const auto part = save_part(*store_, request);
  ASSERT_TRUE(fails_with(Code::kUsage, part));
  EXPECT_NE(part.error().message.find("boxes [0:64,0:64] of rank 0 and [0:64,0:64] of rank 0"),
            std::string::npos)
      << part.error().message;
}

TEST_F(SaveParts, AStoppedOneLeavesNothing) {
  SaveRequest request = cut_state("t", state_, {2, 1})[0];
  const std::atomic<bool> stop = true;
  request.call.stop = &stop;
  EXPECT_TRUE(fails_with(Code::kCancelled, save_part(*store_, request)));
  request.tensors.clear();
  EXPECT_TRUE(fails_with(Code::kCancelled, save_part(*store_, request))) << "nothing to store";
  request = cut_state("t", state_, {2, 1})[0];
  request.check_sources = [] { return fail(Code::kFailed, "the file changed"); };
  EXPECT_TRUE(fails_with(Code::kFailed, save_part(*store_, request)));
  for (const char* folder : {"packs", "meta", "sessions"}) {
    EXPECT_TRUE(files_in(folder).empty()) << folder;
  }
}

/// The disk is full from any one call on, while a part is stored or parts are united.
TEST_F(SaveParts, AFullDiskLeavesNothing) {
  const RankRequests all = cut_state("t", state_, {2, 1});
  FaultFs disk(posix_fs());
  const auto full = *Store::open(disk, path());
  disk.counts = [](FsCall call, const std::string&) {
    return call == FsCall::kCreate || call == FsCall::kWrite || call == FsCall::kSync ||
           call == FsCall::kFolder;
  };
  const auto fails = [&](const auto& work) {
    disk.calls = 0;
    disk.for_ever = true;
    disk.fail_at = 0;
    const auto before = std::tuple(files_in("packs"), files_in("meta"), files_in("sessions"));
    for (;; ++disk.fail_at) {
      disk.calls = 0;
      const auto done = work();
      if (done) return;
      ASSERT_TRUE(fails_with(Code::kNoSpace, done)) << disk.fail_at;
      ASSERT_EQ(std::tuple(files_in("packs"), files_in("meta"), files_in("sessions")), before)
          << disk.fail_at;
    }
  };
  SavedParts parts;
  fails([&]() -> Status {
    CAIRN_TRY(parts.emplace_back(), save_part(*full, all[0]));
    return {};
  });
  EXPECT_GT(disk.fail_at, 5u);
  parts = store_parts(all);
  fails([&] { return save(*full, uniting(all[0], parts)); });
  EXPECT_GT(disk.fail_at, 5u);
  states_["t"] = state_;
  keep_all(parts);
  collect_all();
  expect_sound();
}

TEST_F(SaveParts, ABaseThatCouldNotBeReadIsTold) {
  state_ = {{"w", {Dtype::kF32, {64, 64}, Role::kNone, "", noise(16384, 5)}}};
  RankRequests all = cut_state("run/1", state_, {2, 1});
  ASSERT_TRUE(succeeds(save_together(all)));
  for (const std::string& pack : files_in("packs")) {
    Bytes bytes = *read_file(posix_fs(), path() + "/" + pack, kMiB);
    bytes[4096 + 77] ^= 1;
    ASSERT_TRUE(posix_fs().remove(path() + "/" + pack));
    ASSERT_TRUE(write_new_file(posix_fs(), path() + "/" + pack, bytes));
  }
  State after = state_;
  for (size_t i = 0; i < after["w"].bytes.size(); i += 4) after["w"].bytes[i] ^= 1;
  all = cut_state("run/2", after, {2, 1});
  for (SaveRequest& request : all) request.base = "run/1";
  const auto saved = save_together(all);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->damaged_base, "run/1");
  EXPECT_GT(saved->unread_chunks, 0u);
  states_["run/2"] = after;
  expect_exact("run/2");
}

}  // namespace
}  // namespace cairn
