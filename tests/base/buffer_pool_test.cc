#include "base/buffer_pool.h"

#include <gtest/gtest.h>

#include <optional>

namespace cairn {
namespace {

TEST(BufferPool, WhatCameBackIsUsedAgain) {
  const BufferPool pool(3 * kMiB);
  BufferPool::User user(pool);
  auto first = user.take();
  const auto second = user.take();
  EXPECT_GE(first->size(), 3 * kMiB);
  EXPECT_NE(first->data(), second->data());
  const uint8_t* const memory = first->data();
  first.reset();
  EXPECT_EQ(user.take()->data(), memory);
}

TEST(BufferPool, ItLastsAsLongAsAnyOwner) {
  std::optional<BufferPool> pool(std::in_place, 4096);
  std::optional<BufferPool::User> user(std::in_place, *pool);
  const auto kept = user->take();
  const std::shared_ptr<AlignedBuffer> other = kept;
  user.reset();
  pool.reset();
  kept->data()[4095] = 7;
  EXPECT_EQ(other->span()[4095], 7);
}

TEST(BufferPool, WhatIsSpareStaysWhileThereIsAUser) {
  const BufferPool pool(4096);
  BufferPool::User stays(pool);
  const uint8_t* memory = nullptr;
  {
    BufferPool::User goes(pool);
    memory = goes.take()->data();
  }
  EXPECT_EQ(stays.take()->data(), memory);
}

}  // namespace
}  // namespace cairn
