#include "base/stream_copy.h"

#include <gtest/gtest.h>

#include <vector>

namespace cairn {
namespace {

std::vector<uint8_t> noise(size_t bytes) {
  std::vector<uint8_t> made(bytes);
  uint32_t state = 1;
  for (uint8_t& each : made)
    each = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return made;
}

TEST(StreamCopy, AnySizeAtAnyPlace) {
  const std::vector<uint8_t> source = noise(600);
  for (const size_t from : {0, 1, 17}) {
    for (const size_t to : {0, 1, 8, 63}) {
      for (size_t bytes = 0; bytes < 400; bytes += bytes < 140 ? 1 : 37) {
        std::vector<uint8_t> target(600, 0xee), wanted = target;
        std::copy_n(source.begin() + static_cast<int64_t>(from), bytes,
                    wanted.begin() + static_cast<int64_t>(to));
        const MemoryMove move{target.data() + to, source.data() + from, bytes};
        stream_copy({&move, 1}, 1);
        ASSERT_EQ(target, wanted) << from << " " << to << " " << bytes;
      }
    }
  }
}

TEST(StreamCopy, ManyInSeveralThreads) {
  const std::vector<uint8_t> source = noise(9 << 20);
  for (const unsigned threads : {0u, 1u, 2u, 5u}) {
    std::vector<uint8_t> target(source.size());
    std::vector<MemoryMove> moves;
    for (size_t begin = 0, bytes = 1; begin < source.size();
         begin += bytes, bytes = bytes * 3 + 1) {
      bytes = std::min(bytes, source.size() - begin);
      moves.push_back({target.data() + begin, source.data() + begin, bytes});
    }
    stream_copy(moves, threads);
    EXPECT_EQ(target, source) << threads;
  }
  stream_copy({}, 0);
}

}  // namespace
}  // namespace cairn
