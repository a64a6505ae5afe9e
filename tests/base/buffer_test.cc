#include "base/buffer.h"

#include <gtest/gtest.h>

#include "base/fs.h"
#include "base/random.h"

namespace cairn {
namespace {

TEST(AlignedBuffer, IsAlignedForDirectReads) {
  for (const uint64_t bytes : {uint64_t{1}, uint64_t{4096}, uint64_t{5000}, 3 * kMiB}) {
    const AlignedBuffer buffer(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kDirectAlignment, 0u);
    EXPECT_GE(buffer.size(), bytes);
    EXPECT_EQ(buffer.size() % kDirectAlignment, 0u);
    buffer.data()[buffer.size() - 1] = 1;
  }
  EXPECT_EQ(AlignedBuffer().size(), 0u);
  // Under AddressSanitizer this needs allocator_may_return_null=1 (tests/meson.build).
  EXPECT_THROW(AlignedBuffer(uint64_t{1} << 60), std::bad_alloc);
}

TEST(RandomBytes, DifferEachTime) {
  std::array<uint8_t, 16> a{}, b{};
  ASSERT_TRUE(random_bytes(a));
  ASSERT_TRUE(random_bytes(b));
  EXPECT_NE(a, b);
  EXPECT_TRUE(random_bytes({}));
}

}  // namespace
}  // namespace cairn
