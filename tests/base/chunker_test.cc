#include "base/chunker.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/chunker_lanes.h"

namespace cairn {
namespace {

// The templates of wide kernels, in narrow instructions: their logic is tested on any machine.
constexpr ChunkerKernel kEightLanes = {"narrow8", find_in_lanes<8>};
constexpr ChunkerKernel kSixteenLanes = {"narrow16", find_in_lanes<16>};

constexpr uint64_t kSmall = 256;

Bytes noise(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes content(bytes);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

/// The definition, term by term.
uint32_t hash_at(ByteSpan content, uint64_t word) {
  uint32_t hash = 0;
  for (uint64_t k = 0; k <= std::min<uint64_t>(word, 31); ++k) {
    uint32_t w = 0;
    for (size_t byte = 4; byte-- > 0;) w = w << 8 | content[4 * (word - k) + byte];
    const uint32_t m = w * 0x9E3779B1u + 0x85EBCA6Bu;
    hash += (m ^ (m >> 15)) << k;
  }
  return hash;
}

std::vector<uint64_t> literal_candidates(ByteSpan content, uint64_t average) {
  const auto threshold = static_cast<uint32_t>((uint64_t{1} << 32) / (3 * average / 16));
  std::vector<uint64_t> found;
  for (uint64_t word = 0; word < content.size() / 4; ++word) {
    if (hash_at(content, word) <= threshold) found.push_back(4 * (word + 1));
  }
  return found;
}

std::vector<uint64_t> literal_cuts(ByteSpan content, uint64_t average) {
  const std::vector<uint64_t> candidates = literal_candidates(content, average);
  const uint64_t n = content.size();
  std::vector<uint64_t> ends;
  for (uint64_t s = 0; s < n; s = ends.back()) {
    const auto fits = [&](uint64_t p) {
      return s + average / 4 <= p && p <= s + 4 * average && p < n;
    };
    const auto first = std::find_if(candidates.begin(), candidates.end(), fits);
    ends.push_back(first != candidates.end() ? *first : std::min(s + 4 * average, n));
  }
  return ends;
}

class ChunkerKernels : public testing::TestWithParam<const ChunkerKernel*> {
 protected:
  void TearDown() override { use_chunker_kernel(nullptr); }
  /// Skips where this machine cannot run the kernel.
  void SetUp() override {
    const auto runnable = chunker_kernels();
    const bool is_template = GetParam() == &kEightLanes || GetParam() == &kSixteenLanes;
    if (!is_template && std::find(runnable.begin(), runnable.end(), GetParam()) == runnable.end()) {
      GTEST_SKIP() << "this machine does not run the kernel " << GetParam()->name;
    }
    use_chunker_kernel(GetParam());
  }

  static void expect_as_defined(ByteSpan content, uint64_t average) {
    const ChunkRule rule = ChunkRule::of_average(average);
    const auto expected = literal_cuts(content, average);
    ASSERT_EQ(cut_content(content, rule), expected) << content.size() << " bytes by " << average;
    const auto candidates = find_candidates(content, 0, content.size() / 4, rule.threshold);
    ASSERT_EQ(candidates, literal_candidates(content, average)) << content.size() << " bytes";
    ASSERT_EQ(cut_at_candidates(candidates, content.size(), rule), expected);
  }
};

TEST_P(ChunkerKernels, CutAsDefined) {
  const Bytes content = noise(6000, 1);
  for (size_t bytes = 0; bytes <= 300; ++bytes) {
    expect_as_defined(ByteSpan(content).first(bytes), kSmall);
  }
  for (const uint64_t edge : {kSmall / 4, 4 * kSmall, 8 * kSmall}) {
    for (size_t bytes = edge - 9; bytes <= edge + 9; ++bytes) {
      expect_as_defined(ByteSpan(content).first(bytes), kSmall);
    }
  }
  for (const uint64_t average : {256, 272, 1024, 4096}) expect_as_defined(content, average);
}

TEST_P(ChunkerKernels, CutAsDefinedAtAnyAlignment) {
  const Bytes content = noise(20000, 2);
  std::mt19937 random(3);
  for (size_t offset = 0; offset < 64; ++offset) {
    const size_t bytes = random() % (content.size() - offset);
    expect_as_defined(ByteSpan(content).subspan(offset, bytes), kSmall << random() % 4);
  }
}

TEST_P(ChunkerKernels, FindTheSameWhereverWorkIsSplit) {
  const Bytes content = noise(4 * 1200, 4);
  const uint32_t threshold = ChunkRule::of_average(kSmall).threshold;
  const auto whole = literal_candidates(content, kSmall);
  for (uint64_t split = 0; split <= 1200; ++split) {
    auto parts = find_candidates(content, 0, split, threshold);
    const auto rest = find_candidates(content, split, 1200 - split, threshold);
    parts.insert(parts.end(), rest.begin(), rest.end());
    ASSERT_EQ(parts, whole) << "split at word " << split;
  }
}

TEST_P(ChunkerKernels, FindTheFirstOfSeveralInAGroup) {
  // Nearly every word is low enough: the first one counts, wherever it lies in its vectors.
  const Bytes content = noise(4 * 700, 5);
  for (const uint32_t threshold : {0x08000000u, 0x40000000u, 0xF0000000u, 0xFFFFFFFFu}) {
    for (uint64_t from = 0; from < 80; ++from) {
      for (const uint64_t count : {1, 31, 64, 600}) {
        const uint32_t before = from == 0 ? 0 : hash_at(content, from - 1);
        const uint8_t* const words = content.data() + 4 * from;
        ASSERT_EQ(GetParam()->find(words, count, before, threshold),
                  kChunkerPortable.find(words, count, before, threshold))
            << from << ' ' << count;
      }
    }
  }
}

TEST_P(ChunkerKernels, ReadNothingBeyondTheContent) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const mapped =
      mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* const bytes = static_cast<uint8_t*>(mapped);
  ASSERT_EQ(mprotect(bytes, page, PROT_NONE), 0);
  ASSERT_EQ(mprotect(bytes + 3 * page, page, PROT_NONE), 0);
  const Bytes content = noise(2 * page, 6);
  std::copy(content.begin(), content.end(), bytes + page);
  for (size_t cut = 0; cut < 300; ++cut) {
    expect_as_defined({bytes + page, cut}, kSmall);
    expect_as_defined({bytes + 3 * page - cut, cut}, kSmall);
  }
  expect_as_defined({bytes + page, 2 * page}, kSmall);
  munmap(mapped, 4 * page);
}

TEST_P(ChunkerKernels, CutWhatNeverChanges) {
  for (const uint8_t byte : {0, 1, 255}) expect_as_defined(Bytes(9001, byte), kSmall);
}

std::vector<const ChunkerKernel*> all_kernels() {
  std::vector<const ChunkerKernel*> kernels = {&kChunkerPortable, &kEightLanes, &kSixteenLanes};
#if defined(__x86_64__)
  kernels.insert(kernels.end(), {&kChunkerAvx2, &kChunkerAvx512});
#endif
  return kernels;
}

INSTANTIATE_TEST_SUITE_P(All, ChunkerKernels, testing::ValuesIn(all_kernels()),
                         [](const auto& test) { return std::string(test.param->name); });

TEST(Chunker, AgreesWithTheTruthOnMegabytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    const Bytes content = noise(1 + random() % (3 * kMiB), random());
    const ChunkRule rule = ChunkRule::of_average(uint64_t{256} << random() % 12);
    use_chunker_kernel(&kChunkerPortable);
    const auto expected = cut_content(content, rule);
    for (const ChunkerKernel* kernel : chunker_kernels()) {
      use_chunker_kernel(kernel);
      ASSERT_EQ(cut_content(content, rule), expected) << kernel->name;
    }
    use_chunker_kernel(nullptr);
    const auto candidates =
        find_candidates(content, 0, content.size() / kWordBytes, rule.threshold);
    ASSERT_EQ(cut_at_candidates(candidates, content.size(), rule), expected);
  }
}

TEST(Chunker, KeepsToItsBoundsAndItsAverage) {
  const ChunkRule rule = ChunkRule::of_average(4096);
  const Bytes content = noise(8 * kMiB, 8);
  const auto ends = cut_content(content, rule);
  ASSERT_EQ(ends.back(), content.size());
  for (size_t i = 0, begin = 0; i < ends.size(); begin = ends[i++]) {
    ASSERT_LE(ends[i] - begin, rule.max_bytes);
    if (i + 1 < ends.size()) {
      ASSERT_GE(ends[i] - begin, rule.min_bytes);
    }
  }
  const double mean = static_cast<double>(content.size()) / static_cast<double>(ends.size());
  EXPECT_NEAR(mean, 4096, 0.1 * 4096);
}

/// How many of the chunks are not among those of `before`, by their bytes.
size_t new_chunks(ByteSpan before, ByteSpan after, const ChunkRule& rule) {
  const auto chunks = [&](ByteSpan content) {
    std::vector<Bytes> found;
    uint64_t begin = 0;
    for (const uint64_t end : cut_content(content, rule)) {
      found.emplace_back(content.begin() + begin, content.begin() + end);
      begin = end;
    }
    return found;
  };
  const auto old_ones = chunks(before);
  const std::set<Bytes> known(old_ones.begin(), old_ones.end());
  const auto now = chunks(after);
  return std::count_if(now.begin(), now.end(),
                       [&](const Bytes& chunk) { return !known.contains(chunk); });
}

TEST(Chunker, CutsByRulesAtTheirLimits) {
  constexpr uint64_t kNoEnd = ~uint64_t{3};
  const Bytes content = noise(999, 4);
  for (const ChunkRule& rule : {ChunkRule{64, 256, ~0u}, ChunkRule{64, 256, 0}, ChunkRule{4, 4, 0},
                                ChunkRule{4, kNoEnd, 1u << 27}, ChunkRule{kNoEnd, kNoEnd, ~0u}}) {
    for (size_t bytes = 0; bytes <= content.size(); bytes += 27) {
      const ByteSpan part = ByteSpan(content).first(bytes);
      const auto candidates = find_candidates(part, 0, bytes / 4, rule.threshold);
      const auto ends = cut_content(part, rule);
      EXPECT_EQ(ends, cut_at_candidates(candidates, bytes, rule));
      uint64_t begin = 0;
      for (const uint64_t end : ends) {
        EXPECT_LE(end - begin, rule.max_bytes);
        EXPECT_TRUE(end - begin >= rule.min_bytes || end == bytes) << begin << " to " << end;
        begin = end;
      }
      EXPECT_EQ(begin, bytes);
    }
  }
}

TEST(Chunker, ResynchronisesBehindAChange) {
  const ChunkRule rule = ChunkRule::of_average(1024);
  std::mt19937 random(9);
  const Bytes content = noise(kMiB, 10);
  for (int round = 0; round < 30; ++round) {
    const auto at = static_cast<std::ptrdiff_t>(random() % (kMiB / 4) * 4);
    Bytes changed = content;
    const Bytes added = noise(4 * (1 + random() % 20), random());
    changed.insert(changed.begin() + at, added.begin(), added.end());
    EXPECT_LE(new_chunks(content, changed, rule), 6u) << "inserted at " << at;
    EXPECT_LE(new_chunks(changed, content, rule), 6u) << "deleted at " << at;
  }
}

TEST(ChunkRule, SaysItsBounds) {
  constexpr ChunkRule kRule = ChunkRule::of_average(kMiB);
  EXPECT_EQ(kRule.min_bytes, 256 * kKiB);
  EXPECT_EQ(kRule.max_bytes, 4 * kMiB);
  EXPECT_EQ(kRule.threshold, 21845u);
  for (const uint64_t good : {256, 272, 1 << 28}) EXPECT_TRUE(ChunkRule::is_average(good)) << good;
  for (const uint64_t bad : {0, 16, 240, 257, 264, (1 << 28) + 16}) {
    EXPECT_FALSE(ChunkRule::is_average(bad)) << bad;
  }
}

}  // namespace
}  // namespace cairn
