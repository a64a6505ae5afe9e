// The C ABI as a caller of another language meets it.
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/cairn.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

class CAbi : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cairn_init((folder_ / "s").c_str()), CAIRN_OK) << cairn_error_message();
    ASSERT_EQ(cairn_open((folder_ / "s").c_str(), &store_), CAIRN_OK) << cairn_error_message();
  }
  void TearDown() override { cairn_close(store_); }

  cairn_tensor tensor() {
    cairn_tensor whole = {};
    whole.name = "w";
    whole.dtype = "F32";
    whole.rank = 2;
    whole.shape = kShape;
    whole.data = values_.data();
    return whole;
  }
  cairn_save_request request(const cairn_tensor& tensor, const char* tag) {
    cairn_save_request wanted = {};
    wanted.struct_bytes = sizeof(wanted);
    wanted.tag = tag;
    wanted.tensors = &tensor;
    wanted.tensor_count = 1;
    wanted.tensor_bytes = sizeof(tensor);
    return wanted;
  }

  static constexpr uint64_t kShape[] = {16, 8};
  TempFolder folder_;
  cairn_store* store_ = nullptr;
  std::vector<float> values_ = std::vector<float>(128, 1.5F);
};

TEST_F(CAbi, ATagGoesThereAndBack) {
  const cairn_tensor source = tensor();
  cairn_save_request wanted = request(source, "run/1");
  const cairn_attachment note{"note", "hello", 5};
  wanted.attachments = &note;
  wanted.attachment_count = 1;
  wanted.attachment_bytes = sizeof(note);
  const cairn_pair loss{"loss", "0.5"};
  wanted.metadata = &loss;
  wanted.metadata_count = 1;
  wanted.step = 7;
  wanted.has_step = 1;
  char* told = nullptr;
  ASSERT_EQ(cairn_save(store_, &wanted, &told), CAIRN_OK) << cairn_error_message();
  EXPECT_NE(std::string(told).find(R"("logical_bytes":512)"), std::string::npos) << told;
  cairn_free(told);

  cairn_checkpoint* checkpoint = nullptr;
  ASSERT_EQ(cairn_checkpoint_open(store_, "run/@newest", &checkpoint), CAIRN_OK);
  ASSERT_EQ(cairn_checkpoint_describe(checkpoint, &told), CAIRN_OK);
  for (const char* part : {R"("step":7)", R"("loss":"0.5")", R"("shape":[16,8])"}) {
    EXPECT_NE(std::string(told).find(part), std::string::npos) << told;
  }
  cairn_free(told);
  char text[5];
  EXPECT_EQ(cairn_checkpoint_attachment(checkpoint, "note", text, 4), CAIRN_USAGE);
  EXPECT_EQ(cairn_checkpoint_attachment(checkpoint, "none", text, 5), CAIRN_NOT_FOUND);
  ASSERT_EQ(cairn_checkpoint_attachment(checkpoint, "note", text, 5), CAIRN_OK);
  EXPECT_EQ(std::string(text, 5), "hello");
  // A box of it, into every other column; the store may be closed before.
  cairn_close(store_);
  store_ = nullptr;
  std::vector<float> room(16, 0);
  const uint64_t offsets[] = {3, 0}, lengths[] = {1, 8};
  const int64_t strides[] = {64, 8};
  cairn_tensor target = tensor();
  target.offsets = offsets;
  target.lengths = lengths;
  target.strides_bytes = strides;
  target.data = room.data();
  cairn_load_request load = {};
  load.struct_bytes = sizeof(load);
  load.targets = &target;
  load.target_count = 1;
  load.target_bytes = sizeof(target);
  ASSERT_EQ(cairn_load(checkpoint, &load, nullptr), CAIRN_OK) << cairn_error_message();
  for (size_t i = 0; i < room.size(); ++i) EXPECT_EQ(room[i], i % 2 == 0 ? 1.5F : 0.0F) << i;
  cairn_checkpoint_close(checkpoint);
}

/// Callers compiled before the latest fields were added, or after fields this library lacks.
TEST_F(CAbi, ASaveSaysWhatItWouldCompareWith) {
  const auto base_of = [&](const char* tag) {
    char* name = nullptr;
    EXPECT_EQ(cairn_base_of(store_, tag, &name), CAIRN_OK) << cairn_error_message();
    const std::string told = name;
    cairn_free(name);
    return told;
  };
  const cairn_tensor source = tensor();
  EXPECT_EQ(base_of("run/3"), "none");
  for (const char* tag : {"run/1", "run/2", "run/eval/best", "other"}) {
    const cairn_save_request wanted = request(source, tag);
    ASSERT_EQ(cairn_save(store_, &wanted, nullptr), CAIRN_OK) << cairn_error_message();
  }
  EXPECT_EQ(base_of("run/3"), "run/2") << "tags further down are not beside it";
  EXPECT_EQ(base_of("run/eval/5"), "run/eval/best");
  EXPECT_EQ(base_of("new"), "other");
  EXPECT_EQ(base_of("new/1"), "none");
  EXPECT_EQ(cairn_base_of(store_, nullptr, nullptr), CAIRN_USAGE);
}

TEST_F(CAbi, StructsMayBeShorterAndLonger) {
  struct LongTensor {
    cairn_tensor known;
    uint64_t later = ~0ull;
  } longer[2] = {{tensor()}, {tensor()}};
  longer[1].known.name = "v";
  cairn_save_request wanted = request(longer[0].known, "run/long");
  wanted.tensor_count = 2;
  wanted.tensor_bytes = sizeof(LongTensor);
  EXPECT_EQ(cairn_save(store_, &wanted, nullptr), CAIRN_OK) << cairn_error_message();

  const cairn_tensor source = tensor();
  cairn_save_request shorter = request(source, "run/short");
  shorter.struct_bytes = offsetof(cairn_save_request, roles);
  shorter.tensor_bytes = offsetof(cairn_tensor, role);
  shorter.roles = "not looked at";
  EXPECT_EQ(cairn_save(store_, &shorter, nullptr), CAIRN_OK) << cairn_error_message();
}

TEST_F(CAbi, WrongRequestsAreErrors) {
  cairn_store* none = nullptr;
  EXPECT_EQ(cairn_open((folder_ / "none").c_str(), &none), CAIRN_NO_STORE);
  EXPECT_STRNE(cairn_error_message(), "");
  EXPECT_STRNE(cairn_error_hint(), "");
  EXPECT_EQ(cairn_open(nullptr, &none), CAIRN_USAGE);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(cairn_save(store_, nullptr, nullptr), CAIRN_USAGE);

  const auto refused = [&](const cairn_tensor& tensor, auto change) {
    cairn_save_request wanted = request(tensor, "run/1");
    change(wanted);
    const cairn_status status = cairn_save(store_, &wanted, nullptr);
    EXPECT_EQ(status, CAIRN_USAGE) << cairn_error_message();
  };
  const auto as_it_is = [](cairn_save_request&) {};
  cairn_tensor wrong = tensor();
  wrong.dtype = "F31";
  refused(wrong, as_it_is);
  wrong = tensor();
  wrong.name = nullptr;
  refused(wrong, as_it_is);
  wrong = tensor();
  wrong.shape = nullptr;
  refused(wrong, as_it_is);
  wrong = tensor();
  wrong.role = "wheel";
  refused(wrong, as_it_is);
  wrong = tensor();
  wrong.rank = 17;
  const std::vector<uint64_t> ones(17, 1);
  wrong.shape = ones.data();
  refused(wrong, as_it_is);
  const cairn_tensor right = tensor();
  refused(right, [](auto& wanted) { wanted.struct_bytes = 0; });
  refused(right, [](auto& wanted) { wanted.tag = nullptr; });
  refused(right, [](auto& wanted) { wanted.tensors = nullptr; });
  refused(right, [](auto& wanted) { wanted.if_exists = "perhaps"; });
  refused(right, [](auto& wanted) { wanted.roles = "{"; });
  refused(right, [](auto& wanted) { wanted.roles = R"({"lr": 1e999})"; });
  refused(right, [](auto& wanted) { wanted.metadata_count = 1; });
  refused(right, [](auto& wanted) { wanted.part_count = 1; });
  refused(right, [](auto& wanted) { wanted.warning_count = 1; });
  refused(right, [](auto& wanted) { wanted.attachment_count = 1; });
  const cairn_attachment empty{"note", nullptr, 5};
  refused(right, [&](auto& wanted) {
    wanted.attachments = &empty;
    wanted.attachment_count = 1;
    wanted.attachment_bytes = sizeof(empty);
  });
  refused(right, [](auto& wanted) { wanted.effort = "much"; });
  EXPECT_STREQ(cairn_error_hint(), "it is 'balanced', 'fast', 'small'");
}

TEST_F(CAbi, NamesOfTagsAreKnownBefore) {
  EXPECT_EQ(cairn_check_tag("run/1"), CAIRN_OK);
  for (const char* wrong : {"", "a b", "/a", "@newest"}) {
    EXPECT_EQ(cairn_check_tag(wrong), CAIRN_USAGE) << wrong;
  }
  EXPECT_EQ(cairn_check_tag(nullptr), CAIRN_USAGE);
}

TEST_F(CAbi, TextsThatAreNoTextDoNoHarm) {
  const cairn_tensor source = tensor();
  cairn_save_request wanted = request(source, "run/1");
  const char* const warnings[] = {"odd \xff bytes"};
  wanted.warnings = warnings;
  wanted.warning_count = 1;
  char* told = nullptr;
  ASSERT_EQ(cairn_save(store_, &wanted, &told), CAIRN_OK) << cairn_error_message();
  EXPECT_NE(std::string(told).find("odd \xef\xbf\xbd bytes"), std::string::npos) << told;
  cairn_free(told);
}

TEST_F(CAbi, RanksSaveTogether) {
  constexpr uint64_t kOffsets[2][2] = {{0, 0}, {10, 0}}, kLengths[2][2] = {{10, 8}, {6, 8}};
  std::vector<cairn_part*> parts;
  std::vector<const char*> names;
  for (uint32_t rank = 0; rank < 2; ++rank) {
    cairn_tensor box = tensor();
    box.offsets = kOffsets[rank];
    box.lengths = kLengths[rank];
    box.data = values_.data() + kOffsets[rank][0] * 8;
    box.writer = rank;
    cairn_save_request wanted = request(box, "run/1");
    wanted.base = "none";
    ASSERT_EQ(cairn_save_part(store_, &wanted, &parts.emplace_back()), CAIRN_OK)
        << cairn_error_message();
    names.push_back(cairn_part_name(parts.back()));
  }
  cairn_save_request wanted = {};
  wanted.struct_bytes = sizeof(wanted);
  wanted.tag = "run/1";
  wanted.parts = names.data();
  wanted.part_count = 1;
  EXPECT_EQ(cairn_save(store_, &wanted, nullptr), CAIRN_USAGE);
  EXPECT_NE(std::string(cairn_error_message()).find("no box holds [10:16,0:8]"), std::string::npos)
      << cairn_error_message();
  wanted.part_count = 2;
  cairn_part* none = nullptr;
  EXPECT_EQ(cairn_save_part(store_, &wanted, &none), CAIRN_USAGE);
  EXPECT_EQ(none, nullptr);
  char* told = nullptr;
  ASSERT_EQ(cairn_save(store_, &wanted, &told), CAIRN_OK) << cairn_error_message();
  EXPECT_NE(std::string(told).find(R"("logical_bytes":512)"), std::string::npos) << told;
  cairn_free(told);
  for (cairn_part* part : parts) cairn_part_end(part, 0);
  cairn_part_end(nullptr, 1);
  cairn_checkpoint* checkpoint = nullptr;
  ASSERT_EQ(cairn_checkpoint_open(store_, "run/1", &checkpoint), CAIRN_OK);
  std::vector<float> room(128, 0);
  cairn_tensor target = tensor();
  target.data = room.data();
  cairn_load_request load = {};
  load.struct_bytes = sizeof(load);
  load.targets = &target;
  load.target_count = 1;
  load.target_bytes = sizeof(target);
  EXPECT_EQ(cairn_load(checkpoint, &load, nullptr), CAIRN_OK) << cairn_error_message();
  EXPECT_EQ(room, values_);
  cairn_checkpoint_close(checkpoint);
}

TEST_F(CAbi, APartThatIsGivenUpLeavesNothing) {
  const cairn_tensor whole = tensor();
  const cairn_save_request wanted = request(whole, "run/1");
  cairn_part* part = nullptr;
  ASSERT_EQ(cairn_save_part(store_, &wanted, &part), CAIRN_OK) << cairn_error_message();
  const std::string name = cairn_part_name(part);
  cairn_part_end(part, 1);
  cairn_save_request uniting = {};
  uniting.struct_bytes = sizeof(uniting);
  uniting.tag = "run/1";
  const char* const names[] = {name.c_str()};
  uniting.parts = names;
  uniting.part_count = 1;
  EXPECT_EQ(cairn_save(store_, &uniting, nullptr), CAIRN_NOT_FOUND);
  const char* const odd[] = {nullptr};
  uniting.parts = odd;
  EXPECT_EQ(cairn_save(store_, &uniting, nullptr), CAIRN_USAGE);
}

TEST_F(CAbi, WarningsOfTheCallerAreKept) {
  const cairn_tensor source = tensor();
  cairn_save_request wanted = request(source, "run/1");
  const char* const warnings[] = {"rank 3 is odd"};
  wanted.warnings = warnings;
  wanted.warning_count = 1;
  char* told = nullptr;
  ASSERT_EQ(cairn_save(store_, &wanted, &told), CAIRN_OK) << cairn_error_message();
  EXPECT_NE(std::string(told).find(R"("warnings":["rank 3 is odd"])"), std::string::npos) << told;
  cairn_free(told);
  cairn_checkpoint* checkpoint = nullptr;
  ASSERT_EQ(cairn_checkpoint_open(store_, "run/1", &checkpoint), CAIRN_OK);
  ASSERT_EQ(cairn_checkpoint_describe(checkpoint, &told), CAIRN_OK);
  EXPECT_NE(std::string(told).find("rank 3 is odd"), std::string::npos) << told;
  cairn_free(told);
  cairn_checkpoint_close(checkpoint);
}

TEST_F(CAbi, BoxesAreDigestedWhole) {
  cairn_tensor both[] = {tensor(), tensor()};
  std::vector<float> other(128, 1.5F);
  both[1].data = other.data();
  uint8_t digests[64];
  const auto are_equal = [&](const cairn_sampling* sampling) {
    EXPECT_EQ(cairn_digest(both, 2, sizeof(cairn_tensor), sampling, 0, nullptr, digests), CAIRN_OK)
        << cairn_error_message();
    return std::memcmp(digests, digests + 32, 32) == 0;
  };
  EXPECT_TRUE(are_equal(nullptr));
  other[77] = 0;
  EXPECT_FALSE(are_equal(nullptr));
  both[0].dtype = "F33";
  EXPECT_EQ(cairn_digest(both, 2, sizeof(cairn_tensor), nullptr, 0, nullptr, digests), CAIRN_USAGE);
}

TEST_F(CAbi, ASampleIsDigestedWhereItSays) {
  const cairn_tensor source = tensor();
  cairn_sampling sampling = {};
  sampling.struct_bytes = sizeof(sampling);
  sampling.bytes = 64;
  for (sampling.turn = 0; sampling.turn < 8; ++sampling.turn) {
    uint64_t offsets[2], lengths[2];
    ASSERT_EQ(cairn_sampled_box(&source, sizeof(source), &sampling, offsets, lengths), CAIRN_OK);
    EXPECT_EQ(lengths[0], 2u);
    EXPECT_EQ(lengths[1], 8u);
    const auto digest_of = [&](const cairn_sampling* of) {
      std::string digest(32, '\0');
      EXPECT_EQ(cairn_digest(&source, 1, sizeof(source), of, 0, nullptr,
                             reinterpret_cast<uint8_t*>(digest.data())),
                CAIRN_OK);
      return digest;
    };
    const std::string before = digest_of(&sampling), all_before = digest_of(nullptr);
    values_[(offsets[0] + 4) % 16 * 8] += 1;  // beside the sample
    EXPECT_EQ(digest_of(&sampling), before);
    EXPECT_NE(digest_of(nullptr), all_before);
    values_[offsets[0] * 8] += 1;
    EXPECT_NE(digest_of(&sampling), before);
  }
}

TEST_F(CAbi, ACallCanBeStopped) {
  cairn_watch* watch = nullptr;
  ASSERT_EQ(cairn_watch_new(&watch), CAIRN_OK);
  const cairn_tensor source = tensor();
  cairn_save_request wanted = request(source, "run/1");
  wanted.watch = watch;
  cairn_watch_stop(watch);
  EXPECT_EQ(cairn_save(store_, &wanted, nullptr), CAIRN_CANCELLED);
  wanted.watch = nullptr;
  cairn_watch_thread(watch);
  EXPECT_EQ(cairn_save(store_, &wanted, nullptr), CAIRN_CANCELLED);
  cairn_watch_thread(nullptr);
  cairn_progress progress = {};
  progress.struct_bytes = sizeof(progress);
  cairn_watch_read(watch, &progress);
  EXPECT_EQ(progress.total_bytes, 512u);
  cairn_watch_free(watch);
  cairn_checkpoint* checkpoint = nullptr;
  EXPECT_EQ(cairn_checkpoint_open(store_, "run/1", &checkpoint), CAIRN_NOT_FOUND);
}

TEST(CWatch, StopsWhatItsThreadWaitsFor) {
  cairn_watch* watch = nullptr;
  ASSERT_EQ(cairn_watch_new(&watch), CAIRN_OK);
  cairn_watch_stop(watch);
  cairn_store* store = nullptr;
  cairn_watch_thread(watch);
  EXPECT_EQ(cairn_open("http://127.0.0.1:1/", &store), CAIRN_CANCELLED);
  std::thread([&] {
    cairn_store* other = nullptr;
    EXPECT_EQ(cairn_open("http://127.0.0.1:1/", &other), CAIRN_UNREACHABLE);
  }).join();
  cairn_watch_thread(nullptr);
  cairn_watch_free(watch);
  EXPECT_EQ(cairn_open("http://127.0.0.1:1/", &store), CAIRN_UNREACHABLE);
}

TEST(CCopy, MovesMemory) {
  std::vector<uint8_t> source(3000000), target(source.size());
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 7);
  const cairn_move moves[] = {{target.data(), source.data(), 1000001},
                              {target.data() + 1000001, source.data() + 1000001, 1999999},
                              {nullptr, nullptr, 0}};
  ASSERT_EQ(cairn_copy(moves, 3, sizeof(moves[0]), 0), CAIRN_OK);
  EXPECT_EQ(target, source);
  EXPECT_EQ(cairn_copy(moves, 3, 0, 0), CAIRN_USAGE);
  EXPECT_EQ(cairn_copy(nullptr, 0, 0, 0), CAIRN_OK);
}

/// A group of two threads, in C.
struct Room {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<uint8_t>> brought[2];  // by rank and call
};
struct Seat {
  Room* room;
  unsigned rank;
  bool is_late = false;

  static int32_t all_gather(void* context, const void* own, size_t bytes, void* all,
                            cairn_group_wait* wait) {
    auto& [room, rank, is_late] = *static_cast<Seat*>(context);
    if (is_late) {
      wait->missing[1 - rank] = 1;
      return CAIRN_GROUP_TIMED_OUT;
    }
    std::unique_lock lock(room->mutex);
    const auto* data = static_cast<const uint8_t*>(own);
    room->brought[rank].emplace_back(data, data + bytes);
    room->changed.notify_all();
    const size_t call = room->brought[rank].size();
    room->changed.wait(
        lock, [&, room = room, rank = rank] { return room->brought[1 - rank].size() >= call; });
    for (size_t i = 0; i < 2; ++i)
      std::memcpy(static_cast<uint8_t*>(all) + i * bytes, room->brought[i][call - 1].data(), bytes);
    return CAIRN_GROUP_DONE;
  }
  static int32_t broadcast(void*, void*, size_t, uint32_t, cairn_group_wait* wait) {
    std::strncpy(wait->message, "no broadcast here", wait->message_bytes - 1);
    return CAIRN_GROUP_FAILED;
  }
  cairn_group lent() {
    cairn_group group = {};
    group.struct_bytes = sizeof(group);
    group.rank = rank;
    group.size = 2;
    group.timeout_s = 20;
    group.context = this;
    group.all_gather = all_gather;
    group.broadcast = broadcast;
    return group;
  }
};

TEST_F(CAbi, RanksStoreWhatTheyHoldOnce) {
  Room room;
  Seat seats[2] = {{&room, 0}, {&room, 1}};
  cairn_part* parts[2] = {};
  std::vector<std::thread> threads;
  const cairn_tensor source = tensor();
  for (unsigned rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      cairn_tensor own = source;
      own.writer = rank;
      cairn_save_request wanted = request(own, "t");
      wanted.base = "none";
      const cairn_group group = seats[rank].lent();
      wanted.group = &group;
      EXPECT_EQ(cairn_save_part(store_, &wanted, &parts[rank]), CAIRN_OK) << cairn_error_message();
    });
  }
  for (std::thread& thread : threads) thread.join();
  const char* names[] = {cairn_part_name(parts[0]), cairn_part_name(parts[1])};
  cairn_save_request uniting = request(source, "t");
  uniting.tensors = nullptr;
  uniting.tensor_count = 0;
  uniting.parts = names;
  uniting.part_count = 2;
  char* told = nullptr;
  ASSERT_EQ(cairn_save(store_, &uniting, &told), CAIRN_OK) << cairn_error_message();
  EXPECT_NE(std::strstr(told, "\"warnings\":[]"), nullptr) << told;
  cairn_free(told);
  for (cairn_part* part : parts) cairn_part_end(part, 0);
}

TEST_F(CAbi, ARankThatDoesNotComeIsNamed) {
  Room room;
  Seat seat{&room, 0, true};
  const cairn_tensor source = tensor();
  cairn_save_request wanted = request(source, "t");
  cairn_group group = seat.lent();
  wanted.group = &group;
  cairn_part* part = nullptr;
  EXPECT_EQ(cairn_save_part(store_, &wanted, &part), CAIRN_UNREACHABLE);
  EXPECT_NE(std::strstr(cairn_error_message(), "rank 1 did not answer rank 0 within 20 s"), nullptr)
      << cairn_error_message();
  group.struct_bytes = 0;
  EXPECT_EQ(cairn_save_part(store_, &wanted, &part), CAIRN_USAGE);
  group = seat.lent();
  group.all_gather = nullptr;
  EXPECT_EQ(cairn_save_part(store_, &wanted, &part), CAIRN_USAGE);
  group.nccl_comm = &group;
  EXPECT_EQ(cairn_save_part(store_, &wanted, &part), CAIRN_USAGE) << "no staging";
}

}  // namespace
}  // namespace cairn
