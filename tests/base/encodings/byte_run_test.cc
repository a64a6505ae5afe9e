#include "base/encodings/byte_run.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "tests/base/encodings/item_samples.h"

namespace cairn {
namespace {

constexpr Effort kEfforts[] = {Effort::kFast, Effort::kBalanced, Effort::kSmall};

Bytes run_of(const Bytes& bytes, Effort effort) {
  Bytes out = {0xaa};  // what is there stays
  append_run(bytes, effort, out);
  EXPECT_EQ(out[0], 0xaa);
  out.erase(out.begin());
  return out;
}

std::vector<Bytes> all_kinds(size_t count) {
  std::vector<Bytes> kinds = {Bytes(count, 0), Bytes(count, 77), random_bytes(count, 1)};
  for (const uint8_t mask : {0x7f, 0x3f, 0x0f, 0x03, 0x01}) {
    Bytes bytes = random_bytes(count, mask);
    for (uint8_t& byte : bytes) byte &= mask;
    kinds.push_back(bytes);
  }
  Bytes rare(count, 5);
  rare[count / 2] = 6;
  kinds.push_back(rare);
  for (const size_t apart : {3, 10, 300}) {
    for (size_t i = 0; i < count; i += 1 + (i * 7919) % apart) rare[i] = static_cast<uint8_t>(i);
    kinds.push_back(rare);
    rare.assign(count, 255);
  }
  Bytes repeated = random_bytes(count, 9);
  for (size_t i = 100; i < count; ++i) repeated[i] = repeated[i - 100];
  kinds.push_back(repeated);
  return kinds;
}

TEST(Run, EveryRunComesBack) {
  for (const size_t count : {1, 2, 3, 7, 8, 64, 100, 1000, 16384, 65535, 65536}) {
    for (const Bytes& bytes : all_kinds(count)) {
      for (const Effort effort : kEfforts) {
        Bytes stored = run_of(bytes, effort);
        EXPECT_LE(stored.size(), bytes.size() + 1);
        stored.push_back(0x55);  // of whatever comes next
        Bytes out(count, 0xee);
        ByteSpan rest = stored;
        ASSERT_TRUE(read_run(rest, out));
        EXPECT_EQ(out, bytes);
        EXPECT_EQ(rest.size(), 1u);
        Bytes room(count, 0xee);
        rest = stored;
        const auto view = view_run(rest, room);
        ASSERT_TRUE(view);
        EXPECT_EQ(Bytes(view->begin(), view->end()), bytes);
        EXPECT_EQ(rest.size(), 1u);
      }
    }
  }
}

TEST(Run, BytesAreThoseOfTheFormat) {
  EXPECT_EQ(run_of({7, 7, 7, 7}, Effort::kBalanced), (Bytes{0, 7}));
  EXPECT_EQ(run_of({9}, Effort::kBalanced), (Bytes{0, 9}));
  EXPECT_EQ(run_of({1, 2, 3}, Effort::kBalanced), (Bytes{1, 1, 2, 3}));
  // Coding, u24 length, one frame without content size, checksum and dictionary.
  const Bytes zstd = {2,    13,   0,    0,    0x28, 0xb5, 0x2f, 0xfd, 0,
                      0x38, 0x21, 0x00, 0x00, 0x61, 0x62, 0x63, 0x64};
  ByteSpan rest = zstd;
  Bytes out(4);
  ASSERT_TRUE(read_run(rest, out));
  EXPECT_EQ(out, (Bytes{'a', 'b', 'c', 'd'}));
}

// Worked by hand from docs/FORMAT.md, section 7.2.
TEST(Run, BytesOfGaps) {
  Bytes bytes(400, 9);
  bytes[3] = 1;
  bytes[399] = 2;                        // after 395 nines
  const Bytes stored = {3, 9,            // gaps, the frequent byte
                        2, 0, 0,         // others
                        3, 0, 0,         // bytes of gaps
                        1, 3, 255, 140,  // plain
                        1, 1, 2};        // plain: the others
  EXPECT_EQ(run_of(bytes, Effort::kBalanced), stored);
  ByteSpan rest = stored;
  Bytes out(400);
  ASSERT_TRUE(read_run(rest, out));
  EXPECT_EQ(out, bytes);
  Bytes nested = stored;
  nested[8] = 3;
  rest = nested;
  EXPECT_EQ(read_run(rest, out).error().code, Code::kCorrupt);
}

TEST(Run, WhatShrinksIsCoded) {
  Bytes bytes = random_bytes(65536, 1);
  for (uint8_t& byte : bytes) byte &= 0x0f;
  for (const Effort effort : kEfforts) {
    const Bytes run = run_of(bytes, effort);
    EXPECT_EQ(run[0], 2);
    EXPECT_LT(run.size(), 33000u);
    EXPECT_EQ(run[8] & 0xe7, 0) << "no content size, no checksum, no dictionary";
  }
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(byte + 16 * (byte % 8));
  Bytes wide = random_bytes(65536, 2);
  for (uint8_t& byte : wide) byte = byte < 96 ? byte & 3 : byte;  // shrinks to 85 %
  EXPECT_EQ(run_of(wide, Effort::kFast)[0], 1);
  EXPECT_EQ(run_of(wide, Effort::kBalanced)[0], 2);
  EXPECT_EQ(run_of(random_bytes(65536, 3), Effort::kBalanced)[0], 1);
}

TEST(Run, OnlySmallLooksForRepetitions) {
  Bytes repeated = random_bytes(65536, 9);
  for (size_t i = 16384; i < repeated.size(); ++i) repeated[i] = repeated[i - 16384];
  EXPECT_EQ(run_of(repeated, Effort::kBalanced)[0], 1);
  EXPECT_LT(run_of(repeated, Effort::kSmall).size(), 17000u);
}

/// Any frame of zstd's decodes, not only those that are written here.
TEST(Run, FramesOfOthersDecode) {
  Bytes bytes = random_bytes(5000, 4);
  for (uint8_t& byte : bytes) byte &= 0x1f;
  Bytes frame(10000);
  frame.resize(ZSTD_compress(frame.data(), frame.size(), bytes.data(), bytes.size(), 19));
  Bytes stored = {2, static_cast<uint8_t>(frame.size()), static_cast<uint8_t>(frame.size() >> 8),
                  0};
  append_bytes(stored, frame);
  ByteSpan rest = stored;
  Bytes out(bytes.size());
  ASSERT_TRUE(read_run(rest, out));
  EXPECT_EQ(out, bytes);
  for (const size_t wrong : {bytes.size() - 1, bytes.size() + 1}) {
    Bytes room(wrong);
    rest = stored;
    EXPECT_EQ(read_run(rest, room).error().code, Code::kCorrupt);
  }
  // Two frames are not one.
  append_bytes(stored, frame);
  stored[1] = static_cast<uint8_t>(2 * frame.size());
  stored[2] = static_cast<uint8_t>(2 * frame.size() >> 8);
  rest = stored;
  Bytes room(2 * bytes.size());
  EXPECT_EQ(read_run(rest, room).error().code, Code::kCorrupt);
}

TEST(Run, DamageIsSeenOrDecodesToOtherBytes) {
  for (const Bytes& bytes : all_kinds(600)) {
    const Bytes stored = run_of(bytes, Effort::kBalanced);
    Bytes out(bytes.size());
    for (size_t length = 0; length < stored.size(); ++length) {
      const Bytes cut(stored.begin(), stored.begin() + static_cast<ptrdiff_t>(length));
      ByteSpan rest = cut;
      EXPECT_EQ(read_run(rest, out).error().code, Code::kCorrupt) << length;
    }
    for (size_t at = 0; at < stored.size(); ++at) {
      for (const uint8_t flip : {0x01, 0x80, 0xff}) {
        Bytes changed = stored;
        changed[at] ^= flip;
        ByteSpan rest = changed;
        (void)read_run(rest, out).has_value();
      }
    }
  }
  for (const int coding : {4, 5, 255}) {
    const Bytes newer = {static_cast<uint8_t>(coding), 1, 2, 3};
    ByteSpan rest = newer;
    Bytes out(3);
    EXPECT_EQ(read_run(rest, out).error().code, Code::kNewerFormat);
  }
}

}  // namespace
}  // namespace cairn
