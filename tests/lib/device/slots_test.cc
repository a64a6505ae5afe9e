// Slots bound the memory that waits for the disk: who finds none free waits until one is.
#include "lib/device/slots.h"

#include <gtest/gtest.h>

#include <thread>

#include "gpu/simt/faults.h"

namespace cairn {
namespace {

TEST(Slots, AreAsManyAsTheBytesHaveAndTwoAtLeast) {
  EXPECT_EQ((*Slots::make(10 << 12, 1 << 12))->count(), 10u);
  EXPECT_EQ((*Slots::make(0, 1 << 12))->count(), 2u);
}

TEST(Slots, AreFewerWhereTheSystemPinsNoMore) {
  gpu::simt::fail_allocations_after(3);
  const auto slots = Slots::make(10 << 12, 1 << 12);
  gpu::simt::fail_allocations_after(0);
  const auto none = Slots::make(10 << 12, 1 << 12);
  gpu::simt::clear_faults();
  ASSERT_TRUE(slots);
  EXPECT_EQ((*slots)->count(), 3u);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNoSpace);
}

TEST(Slots, WaitUntilOneIsFree) {
  const auto slots = *Slots::make(2 << 12, 1 << 12);
  auto first = std::make_optional(slots->take(100));
  const auto second = slots->take(100);
  EXPECT_FALSE(slots->try_take());
  std::atomic<bool> has_given = false;
  std::thread other([&] {
    has_given = true;
    first.reset();
  });
  const auto third = slots->take(100);
  EXPECT_TRUE(has_given);
  EXPECT_NE(third.span().data(), second.span().data());
  other.join();
}

TEST(Slots, WhatIsLargerHasMemoryOfItsOwn) {
  const auto slots = *Slots::make(2 << 12, 1 << 12);
  const auto first = slots->take(1), second = slots->take(1), large = slots->take(100000);
  EXPECT_GE(large.span().size(), 100000u);
}

}  // namespace
}  // namespace cairn
