// Some tensors of a tag, as a tag of their own in another store.
#include "base/glob.h"
#include "store/remote/directory_backend.h"
#include "store/remote/remote_fs.h"
#include "store/thin.h"
#include "tests/lib/transfer/transfer_fixture.h"

namespace cairn {
namespace {

class TransferPartTest : public TransferTest {
 protected:
  static TransferRequest part_of(const std::string& tag, const std::string& glob,
                                 const std::string& as) {
    TransferRequest request;
    request.tag = tag;
    request.tensors = {glob};
    request.as = as;
    return request;
  }

  /// Moves it, and remembers what it must hold.
  TransferResult move_part(const std::string& tag, const std::string& glob, const std::string& as) {
    const auto moved = transfer_tag(*store_, *there_, part_of(tag, glob, as));
    EXPECT_TRUE(succeeds(moved)) << tag << " " << glob;
    State state = states_.at(tag);
    std::erase_if(state, [&](const auto& item) { return !glob_match(glob, item.first); });
    EXPECT_FALSE(state.empty());
    states_[as] = std::move(state);
    return moved ? *moved : TransferResult();
  }

  /// What thinning away all but the tensors that match leaves.
  Digest thinned(const std::string& tag, const std::string& glob) {
    EXPECT_TRUE(succeeds(fork_tag(*store_, "thinned", tag, std::chrono::seconds(1))));
    std::vector<std::string> others;
    for (const auto& [name, tensor] : states_.at(tag)) {
      if (!glob_match(glob, name)) others.push_back(name);
    }
    const auto bytes_of = [](const TensorInfo&) -> Result<uint64_t> { return uint64_t{1}; };
    EXPECT_TRUE(succeeds(thin_tags(*store_, {*store_->find_tag("thinned")}, others, bytes_of, false,
                                   std::chrono::seconds(1))));
    const TagEntry entry = *store_->find_tag("thinned");
    EXPECT_TRUE(succeeds(forget_tags(*store_, {entry}, true, std::chrono::seconds(1))));
    return entry.manifest.digest;
  }
};

TEST_F(TransferPartTest, IsWhatThinningLeaves) {
  for (int step = 0; step < 4; ++step) save_step({}, {step == 3 ? uint64_t{3} : 1, 0});
  int number = 0;
  std::vector<std::string> parts;
  for (const char* glob : {"*.weight", "*.first", "matrix.*", "vector.master", "half.*"}) {
    parts.push_back("part/" + std::to_string(number++));
    const TransferResult moved = move_part("run/03", glob, parts.back());
    EXPECT_EQ(moved.tag, parts.back());
    EXPECT_EQ(moved.manifest, thinned("run/03", glob)) << glob;
    EXPECT_EQ(moved.facts.tensors, states_[parts.back()].size());
    uint64_t bytes = 0;
    for (const auto& [name, tensor] : states_[parts.back()]) bytes += tensor.bytes.size();
    EXPECT_EQ(moved.facts.logical_bytes, bytes);
    EXPECT_EQ(moved.facts.new_bytes + moved.reused_bytes, bytes);
  }
  expect_sound_there(parts);
  ASSERT_TRUE(succeeds(collect(*there_, GcRequest{})));
  std::filesystem::remove_all(path());
  expect_sound_there(parts);
}

TEST_F(TransferPartTest, MovesWhatItNeedsAndNoMore) {
  for (int step = 0; step < 4; ++step) save_step();
  TransferRequest whole;
  whole.tag = "run/00";
  whole.dry_run = true;
  TransferRequest part = part_of("run/00", "*.master", "part");
  part.dry_run = true;
  const uint64_t all_bytes = transfer_tag(*store_, *there_, whole)->moved_bytes;
  const auto told = transfer_tag(*store_, *there_, part);
  ASSERT_TRUE(succeeds(told));
  EXPECT_LT(told->moved_bytes, all_bytes);
  EXPECT_EQ(measure_transfer(*store_, part)->moved_bytes, told->moved_bytes);
  EXPECT_EQ(move_part("run/00", "*.master", "part").moved_bytes, told->moved_bytes);
  // Then the rest.
  const auto moved = move("run/00");
  ASSERT_TRUE(succeeds(moved));
  EXPECT_EQ(moved->moved_bytes, all_bytes - told->moved_bytes);
  expect_sound_there({"part", "run/00"});
}

TEST_F(TransferPartTest, OfASeriesAreMadeFromEachOther) {
  for (int step = 0; step < 5; ++step) save_step();
  std::vector<std::string> parts;
  for (int step = 0; step < 5; ++step) {
    const std::string tag = fmt::format("run/{:02}", step);
    parts.push_back("part/" + tag);
    const TransferResult moved = move_part(tag, "matrix.*", parts.back());
    const uint64_t stored = store_->find_tag(tag)->facts.stored_bytes;
    EXPECT_LE(moved.moved_bytes, stored) << tag;
    if (step > 0) {
      EXPECT_NE(moved.base, "");
    }
    EXPECT_TRUE(
        transfer_tag(*store_, *there_, part_of(tag, "matrix.*", parts.back()))->already_there);
  }
  expect_sound_there(parts);
}

TEST_F(TransferPartTest, AllOfATagIsTheTag) {
  save_step();
  EXPECT_EQ(move_part("run/00", "*", "all").manifest, store_->find_tag("run/00")->manifest.digest);
  expect_sound_there({"all"});
}

TEST_F(TransferPartTest, OfNothingThereIsNone) {
  save_step();
  const size_t files = files_in(there_path());
  const TransferRequest request = part_of("run/00", "*.bias", "part");
  EXPECT_TRUE(fails_with(Code::kNotFound, transfer_tag(*store_, *there_, request)));
  EXPECT_TRUE(fails_with(Code::kNotFound, measure_transfer(*store_, request)));
  EXPECT_EQ(files_in(there_path()), files);
}

TEST_F(TransferPartTest, ComesByItselfWhereThatIsAsked) {
  for (int step = 0; step < 4; ++step) save_step();
  ASSERT_TRUE(succeeds(move("run/02")));
  TransferRequest request = part_of("run/03", "matrix.*", "part");
  request.rebase = true;
  request.dry_run = true;
  const auto told = transfer_tag(*store_, *there_, request);
  ASSERT_TRUE(succeeds(told));
  request.dry_run = false;
  const auto moved = transfer_tag(*store_, *there_, request);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_GT(moved->alone_chunks, 0u);
  EXPECT_EQ(moved->alone_chunks, told->alone_chunks);
  EXPECT_LE(moved->moved_bytes, told->moved_bytes);
  EXPECT_EQ(moved->manifest, thinned("run/03", "matrix.*"));
  State state = states_.at("run/03");
  std::erase_if(state, [&](const auto& item) { return !glob_match("matrix.*", item.first); });
  states_["part"] = std::move(state);
  const auto arrived = *open_tag(*there_, "part");
  EXPECT_TRUE(arrived->table().closure.empty());
  for (size_t number = 0; number < arrived->table().pages.size(); ++number) {
    for (const Copy& copy : (*arrived->page(number))->locator.copies) {
      EXPECT_TRUE(copy.bases.empty());
    }
  }
  expect_sound_there({"part", "run/02"});
}

TEST_F(TransferPartTest, WhatWasLeftOfChainsIsNotTakenForWhatComesByItself) {
  for (int step = 0; step < 3; ++step) save_step();
  FaultFs network(posix_fs());
  const auto from = open_behind(network);
  TransferRequest request;
  request.tag = "run/02";
  request.connections = 1;
  ASSERT_TRUE(fails_with(Code::kUnreachable, transfer_tag(*from, *there_, request)));
  network.heal();
  request.rebase = true;
  const auto moved = transfer_tag(*from, *there_, request);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_GT(moved->alone_chunks, 0u);
  expect_sound_there({"run/02"});
}

TEST_F(TransferPartTest, GoesToABucketToo) {
  for (int step = 0; step < 4; ++step) save_step();
  constexpr char kRoot[] = "s3://bucket/prefix";
  remote::RemoteFs fs(remote::open_directory_backend(posix_fs(), folder_ / "bucket", nullptr),
                      kRoot, 4);
  ASSERT_TRUE(succeeds(Store::init(fs, kRoot, store_->config())));
  const auto bucket = *Store::open(fs, kRoot);
  const std::map<std::string, std::string> parts = {{"weights", "*.weight"}, {"one", "matrix.*"}};
  for (const auto& [name, glob] : parts) {
    ASSERT_TRUE(succeeds(transfer_tag(*store_, *bucket, part_of("run/03", glob, name))));
  }
  // And back, which proves all of it.
  for (const auto& [name, glob] : parts) {
    TransferRequest back;
    back.tag = name;
    const auto moved = transfer_tag(*bucket, *there_, back);
    ASSERT_TRUE(succeeds(moved));
    EXPECT_EQ(moved->manifest, thinned("run/03", glob));
    State state = states_.at("run/03");
    std::erase_if(state,
                  [&, &glob = glob](const auto& item) { return !glob_match(glob, item.first); });
    states_[name] = std::move(state);
  }
  expect_sound_there({"one", "weights"});
}

}  // namespace
}  // namespace cairn
