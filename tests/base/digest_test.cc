#include "base/digest.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/digest_lanes.h"

namespace cairn {
namespace {

// The template of the widest kernel, in narrow instructions: its logic is tested on any machine.
constexpr DigestKernel kSixteenLanes = {"narrow16", 16, hash_lanes<16>};
constexpr DigestKernel kFourLanes = {"narrow4", 4, hash_lanes<4>};

constexpr size_t kEveryLength = 4096;

/// The input of BLAKE3's own test vectors.
Bytes cycle(size_t bytes) {
  Bytes input(bytes);
  for (size_t i = 0; i < bytes; ++i) input[i] = static_cast<uint8_t>(i % 251);
  return input;
}

Bytes noise(size_t bytes, uint32_t seed = 1) {
  std::mt19937 random(seed);
  Bytes input(bytes);
  for (uint8_t& byte : input) byte = static_cast<uint8_t>(random());
  return input;
}

std::vector<Digest> portable_digests(std::span<const ByteSpan> inputs) {
  use_digest_kernel(kDigestPortable);
  std::vector<Digest> digests;
  for (const ByteSpan input : inputs) digests.push_back(blake3(input));
  return digests;
}

Digest digest_in_parts(ByteSpan input, std::mt19937& random) {
  static constexpr size_t kMost[] = {1, 63, 1024, 3000, 70000, 1 << 20};
  const size_t most = kMost[random() % std::size(kMost)];
  Blake3 hasher;
  if (most == 1 && input.size() > 8192) {
    hasher.update(input.first(input.size() - 8191));
    input = input.last(8191);
  }
  while (!input.empty()) {
    const size_t bytes = std::min<size_t>(input.size(), random() % most + 1);
    hasher.update(input.first(bytes));
    input = input.subspan(bytes);
  }
  return hasher.finish();
}

/// One, in parts and many, with the kernel now in use.
void expect_digests(std::span<const ByteSpan> inputs, std::span<const Digest> expected) {
  std::mt19937 random(7);
  std::vector<Digest> many(inputs.size());
  blake3_many(inputs, many);
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_EQ(blake3(inputs[i]).hex(), expected[i].hex()) << inputs[i].size() << " bytes";
    ASSERT_EQ(many[i].hex(), expected[i].hex()) << "many, " << inputs[i].size() << " bytes";
    ASSERT_EQ(digest_in_parts(inputs[i], random).hex(), expected[i].hex())
        << "parts, " << inputs[i].size() << " bytes";
  }
}

class DigestKernels : public testing::TestWithParam<const DigestKernel*> {
 protected:
  void TearDown() override { use_digest_kernel(digest_kernels().back()); }
  /// Skips where this machine cannot run the kernel.
  void SetUp() override {
    const auto names = digest_kernels();
    const std::string name = GetParam()->name;
    const bool is_narrow = GetParam() == &kSixteenLanes || GetParam() == &kFourLanes;
    if (!is_narrow && std::find(names.begin(), names.end(), name) == names.end()) {
      GTEST_SKIP() << "this processor has no " << name;
    }
  }
  void use() const { use_digest_kernel(*GetParam()); }
};

struct Known {
  size_t bytes;
  const char* hex;
};
// Of cycle(bytes), computed with b3sum 1.2.0.
constexpr Known kKnown[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
    {63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"},
    {64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"},
    {65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
    {3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"},
    {8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
    {1048577, "2f053cd7472cf0cd2f9adaf45c1180255b91b9a865404a63671a0ee5f792ed33"},
};

TEST_P(DigestKernels, KnowsThePublishedDigests) {
  use();
  for (const Known& known : kKnown) {
    EXPECT_EQ(blake3(cycle(known.bytes)).hex(), known.hex) << known.bytes << " bytes";
  }
}

TEST_P(DigestKernels, EveryLengthTo4096) {
  const Bytes input = noise(kEveryLength);
  std::vector<ByteSpan> inputs;
  for (size_t bytes = 0; bytes <= kEveryLength; ++bytes) {
    inputs.push_back(ByteSpan(input).first(bytes));
  }
  const auto expected = portable_digests(inputs);
  use();
  expect_digests(inputs, expected);
}

TEST_P(DigestKernels, LongAndMixedLengths) {
  const Bytes input = noise(6 * kMiB);
  std::mt19937 random(3);
  std::vector<ByteSpan> inputs;
  for (const size_t bytes : {size_t{65535}, size_t{65536}, size_t{65537}, size_t{131072},
                             size_t{131073}, size_t{262144}, size_t{262145}, size_t{524287}}) {
    inputs.push_back(ByteSpan(input).first(bytes));
  }
  for (int i = 0; i < 5; ++i) inputs.push_back(ByteSpan(input).first(random() % input.size()));
  for (int i = 0; i < 400; ++i) {
    const size_t most = size_t{1} << (random() % 18);
    inputs.push_back(ByteSpan(input).subspan(random() % kMiB, random() % most));
  }
  std::shuffle(inputs.begin(), inputs.end(), random);
  const auto expected = portable_digests(inputs);
  use();
  expect_digests(inputs, expected);
}

TEST_P(DigestKernels, LanesOfAnyLengthFlagsAndCounter) {
  const Bytes input = noise(8 * kKiB);
  std::mt19937_64 random(5);
  for (int turn = 0; turn < 400; ++turn) {
    const size_t count = random() % GetParam()->lanes + 1;
    const bool is_even = turn % 4 == 0;
    std::vector<DigestLane> lanes(count);
    std::vector<Digest> values(count), expected(count);
    for (size_t i = 0; i < count; ++i) {
      const auto bytes = static_cast<uint32_t>(is_even ? 64 * (turn / 4 % 16 + 1)
                                                       : random() % (kDigestLeafBytes + 1));
      lanes[i] = {input.data() + random() % 4096,
                  values[i].bytes.data(),
                  random(),
                  bytes,
                  static_cast<uint32_t>(random() % 16),
                  static_cast<uint32_t>(random() % 16),
                  static_cast<uint32_t>(random() % 16)};
      DigestLane alone = lanes[i];
      alone.value = expected[i].bytes.data();
      kDigestPortable.hash(&alone, 1);
    }
    GetParam()->hash(lanes.data(), count);
    ASSERT_EQ(values, expected) << count << " lanes, turn " << turn;
  }
}

TEST_P(DigestKernels, ReadsNothingBeyondTheInput) {
  use();
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* map = mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(map, MAP_FAILED);
  auto* begin = static_cast<uint8_t*>(map);
  ASSERT_EQ(mprotect(begin + 2 * page, page, PROT_NONE), 0);
  for (size_t bytes = 0; bytes <= 2 * page; bytes += bytes < 1100 ? 1 : 61) {
    const ByteSpan input(begin + 2 * page - bytes, bytes);
    const std::array<ByteSpan, 3> inputs = {input, input.last(bytes / 2), input};
    std::array<Digest, 3> digests;
    blake3_many(inputs, digests);
    ASSERT_EQ(digests[0], blake3(input)) << bytes;
  }
  munmap(map, 3 * page);
}

TEST_P(DigestKernels, RowsAreTheirBytesInOrder) {
  const Bytes matrix = noise(kMiB);
  for (const uint64_t row_bytes : {1, 7, 64, 1000, 1024, 1500, 4096}) {
    for (const int64_t gap : {0, 13, 1024}) {
      for (const int64_t direction : {1, -1}) {
        const uint64_t rows = 97;
        const int64_t stride = direction * (static_cast<int64_t>(row_bytes) + gap);
        const uint8_t* first = matrix.data() + (direction < 0 ? matrix.size() - row_bytes : 0);
        Bytes joined;
        for (uint64_t row = 0; row < rows; ++row) {
          append_bytes(joined, {first + static_cast<int64_t>(row) * stride, row_bytes});
        }
        use_digest_kernel(kDigestPortable);
        const Digest expected = blake3(joined);
        use();
        EXPECT_EQ(blake3_rows(first, row_bytes, stride, rows), expected)
            << row_bytes << " bytes, stride " << stride;
      }
    }
  }
}

TEST_P(DigestKernels, ManyOfNothing) {
  use();
  blake3_many(std::span<const ByteSpan>(), {});
  const std::array<ByteSpan, 20> empty{};
  std::array<Digest, 20> digests;
  blake3_many(empty, digests);
  for (const Digest& digest : digests) EXPECT_EQ(digest.hex(), kKnown[0].hex);
}

std::vector<const DigestKernel*> all_kernels() {
  std::vector<const DigestKernel*> kernels = {&kDigestPortable, &kFourLanes, &kSixteenLanes};
#if defined(__x86_64__)
  kernels.insert(kernels.end(), {&kDigestAvx2, &kDigestAvx512});
#endif
  return kernels;
}
INSTANTIATE_TEST_SUITE_P(All, DigestKernels, testing::ValuesIn(all_kernels()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(Digest, FinishLeavesTheHasherGoing) {
  const Bytes input = noise(5000);
  Blake3 hasher;
  hasher.update(ByteSpan(input).first(2048));
  EXPECT_EQ(hasher.finish(), blake3(ByteSpan(input).first(2048)));
  hasher.update(ByteSpan(input).subspan(2048));
  EXPECT_EQ(hasher.finish(), blake3(input));
  EXPECT_EQ(hasher.finish(), blake3(input));
}

TEST(Digest, KernelsByName) {
  ASSERT_FALSE(digest_kernels().empty());
  EXPECT_STREQ(digest_kernels().front(), "portable");
  for (const char* name : digest_kernels()) EXPECT_TRUE(use_digest_kernel(name));
  EXPECT_FALSE(use_digest_kernel("none"));
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> part;
  while (const size_t bytes = fread(part.data(), 1, part.size(), pipe)) {
    text.append(part.data(), bytes);
  }
  pclose(pipe);
  return text;
}

TEST(Digest, AgreesWithB3sum) {
  if (output_of("command -v b3sum").empty()) GTEST_SKIP() << "no program b3sum";
  std::string folder = (std::filesystem::temp_directory_path() / "cairn_digest_XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const Bytes input = noise(3 * kMiB, 11);
  std::mt19937 random(13);
  std::string expected;
  for (size_t i = 0; i < 300; ++i) {
    const size_t most = i < 250 ? 20 * kKiB : input.size();
    const ByteSpan part = ByteSpan(input).first(i < 10 ? i * 512 : random() % most);
    expected += blake3(part).hex() + "\n";
    std::ofstream file(folder + "/" + std::to_string(1000 + i), std::ios::binary);
    file << as_text(part);
  }
  EXPECT_EQ(output_of("cd '" + folder + "' && b3sum --no-names *"), expected);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cairn
