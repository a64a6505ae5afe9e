// Bad luck while a copy is brought up to date: it may be of before and after then, and the next
// update makes it right.
#include <thread>

#include "tests/lib/device/mirror_fixture.h"

namespace cairn {
namespace {

namespace simt = gpu::simt;

class MirrorFaultsTest : public MirrorFixture {
 protected:
  void SetUp() override {
    MirrorFixture::SetUp();
    add("w", Dtype::kBF16, {80, 1024}, 0);
    add("turned", Dtype::kF32, {100, 110}, 1, {4, 400});
    add("small", Dtype::kF32, {33}, 0);
  }

  /// Most chunks, and not the same in each turn.
  void change_most(uint64_t turn) {
    for (Living& each : living_) {
      const uint64_t begin = turn % 5 * each.content.size() / 10;
      change(each, begin, each.content.size() - begin);
    }
  }
};

TEST_F(MirrorFaultsTest, ADeviceMayBreakAtAnyTask) {
  update();
  uint64_t failed = 0, mixed = 0, turn = 0;
  bool is_made = false;
  for (uint64_t count = 0; count < 400 && !is_made; count += 3, ++turn) {
    simt::set_schedule(count);
    staging_ = gpu::must(open_staging(small_options()));
    change_most(turn);
    const Bytes before = living_[0].copy;
    simt::break_device_after(count, "an illegal address");
    const auto updated = mirror_.update(request());
    simt::clear_faults();
    is_made = updated.has_value();
    if (!is_made) {
      ++failed;
      EXPECT_NE(updated.error().message.find("an illegal address"), std::string::npos)
          << updated.error().message;
      mixed += living_[0].copy != before && living_[0].copy != wanted(living_[0]) ? 1 : 0;
      staging_ = gpu::must(open_staging(small_options()));
      update();
    }
    ASSERT_TRUE(is_up_to_date()) << "broken after " << count;
  }
  EXPECT_TRUE(is_made);
  EXPECT_GT(failed, 3u);
  EXPECT_GT(mixed, 0u) << "no failure came when some chunks were there and some were not";
}

TEST_F(MirrorFaultsTest, AnyAllocationMayFail) {
  bool is_made = false;
  for (uint64_t count = 0; count < 60 && !is_made; ++count) {
    change_most(count);
    staging_ = gpu::must(open_staging(small_options()));
    simt::fail_allocations_after(count);
    const auto updated = mirror_.update(request());
    simt::clear_faults();
    if (updated) {
      is_made = updated->notes.empty();
    } else {
      EXPECT_EQ(updated.error().code, Code::kNoSpace) << updated.error().message;
      staging_ = gpu::must(open_staging(small_options()));
      update();
    }
    ASSERT_TRUE(is_up_to_date()) << "without allocation " << count;
  }
  EXPECT_TRUE(is_made);
}

TEST_F(MirrorFaultsTest, WithoutMemoryOfADeviceTheHostDoesIt) {
  simt::set_memory(0);
  for (uint64_t turn = 0; turn < 3; ++turn) {
    const MirrorResult result = update();
    EXPECT_TRUE(is_up_to_date());
    ASSERT_EQ(result.notes.size(), 2u) << "one for each device";
    EXPECT_NE(result.notes[0].find("device 0 has no"), std::string::npos) << result.notes[0];
    simt::clear_faults();
    change_most(turn);
    simt::set_memory(0);
  }
  simt::clear_faults();
  EXPECT_TRUE(update().notes.empty()) << "there is room again";
  EXPECT_TRUE(is_up_to_date());
}

/// A training that does not wait, and writes to one half after the other.
TEST_F(MirrorFaultsTest, ATensorThatChangesMeanwhileIsNamed) {
  update();
  Living& w = living_.front();
  const uint64_t half = w.content.size() / 2;
  uint64_t refused = 0;
  for (uint64_t seed = 0; seed < 60 && refused < 3; ++seed) {
    std::atomic<bool> is_updated = false;
    std::thread training([&] {
      for (uint64_t turn = 0; !is_updated; ++turn) change(w, turn % 2 * half, half);
    });
    const auto updated = mirror_.update(request());
    is_updated = true;
    training.join();
    if (!updated) {
      ++refused;
      EXPECT_EQ(updated.error().code, Code::kUsage);
      EXPECT_EQ(updated.error().message, "tensor 'w' changed while it was read");
    }
    update();
    ASSERT_TRUE(is_up_to_date()) << "after turn " << seed;
  }
  EXPECT_GT(refused, 0u);
}

TEST_F(MirrorFaultsTest, AnUpdateThatIsStoppedIsMadeUpFor) {
  update();
  change_most(0);
  std::atomic<bool> stop = true;
  MirrorRequest wanted = request();
  wanted.call.stop = &stop;
  const auto stopped = mirror_.update(wanted);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_FALSE(is_up_to_date());
  update();
  EXPECT_TRUE(is_up_to_date());
}

}  // namespace
}  // namespace cairn
