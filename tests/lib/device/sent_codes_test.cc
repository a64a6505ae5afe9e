// Changes that a device tells are put into what was there before; what does not fit is refused, and
// nothing outside is read.
#include "lib/device/sent_codes.h"

#include <gtest/gtest.h>

#include <random>

#include "gpu/coded_memory.h"

namespace cairn {
namespace {

/// What a device would send of residuals: tiles of 128 items.
struct Sent {
  unsigned bits = 1;
  Bytes codes, runs, values;

  static constexpr uint64_t kTileItems = 128;

  template <class Item>
  static Sent of(const std::vector<Item>& residuals, unsigned bits) {
    Sent sent;
    sent.bits = bits;
    const unsigned escape = (1u << bits) - 1, of_byte = 8 / bits;
    sent.codes.resize(ceil_div(residuals.size(), of_byte));
    for (size_t first = 0; first < residuals.size(); first += kTileItems) {
      gpu::EscapedRun run{sent.values.size(), 0};
      for (size_t i = first; i < std::min<size_t>(first + kTileItems, residuals.size()); ++i) {
        const auto code = static_cast<unsigned>(std::min<uint64_t>(residuals[i], escape));
        sent.codes[i / of_byte] |= static_cast<uint8_t>(code << (bits * (i % of_byte)));
        if (code != escape) continue;
        append_le(sent.values, static_cast<Item>(residuals[i] - escape));
        ++run.count;
      }
      sent.values.resize(round_up(sent.values.size(), 16));
      append_le(sent.runs, run);
    }
    return sent;
  }

  SentCodes with(unsigned item_bytes) const {
    return {bits, codes, runs, values, kTileItems, item_bytes};
  }
};

template <class Item>
std::vector<Item> random_items(size_t count, uint32_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Item> items(count);
  for (Item& item : items) item = static_cast<Item>(random());
  return items;
}

template <class Item>
void expect_unpacked(size_t count, unsigned every, unsigned bits) {
  auto residuals = random_items<Item>(count, 1);
  std::mt19937 random(2);
  for (Item& item : residuals) {
    if (random() % every != 0) item = static_cast<Item>(random() % 4);
  }
  Bytes items(count * sizeof(Item), 0xee);
  const Sent sent = Sent::of(residuals, bits);
  ASSERT_TRUE(unpack_codes(sent.with(sizeof(Item)), items));
  EXPECT_EQ(std::memcmp(items.data(), residuals.data(), items.size()), 0);
}

TEST(SentCodes, AreUnpacked) {
  for (const size_t count : {1u, 63u, 64u, 65u, 128u, 129u, 1000u}) {
    for (const unsigned every : {1u, 3u, 50u}) {
      for (const unsigned bits : {1u, 2u}) {
        expect_unpacked<uint8_t>(count, every, bits);
        expect_unpacked<uint16_t>(count, every, bits);
        expect_unpacked<uint32_t>(count, every, bits);
        expect_unpacked<uint64_t>(count, every, bits);
      }
    }
  }
}

TEST(SentCodes, WhatDoesNotFitIsRefused) {
  const Sent good = Sent::of(random_items<uint16_t>(1000, 3), 1);
  Bytes items(2000);
  std::mt19937 random(5);
  uint64_t refused = 0;
  for (int turn = 0; turn < 2000; ++turn) {
    Sent bad = good;
    Bytes& hit = turn % 3 == 0 ? bad.codes : bad.runs;
    hit[random() % hit.size()] ^= static_cast<uint8_t>(1u << (random() % 8));
    if (turn % 5 == 0) bad.values.resize(random() % bad.values.size());
    if (turn % 7 == 0) bad.codes.resize(random() % bad.codes.size());
    if (turn % 11 == 0) bad.runs.resize(random() % bad.runs.size());
    refused += unpack_codes(bad.with(2), items) ? 0 : 1;
  }
  EXPECT_GT(refused, 1000u);
  EXPECT_FALSE(unpack_codes(good.with(3), items));
  Sent odd = good;
  odd.bits = 3;
  EXPECT_FALSE(unpack_codes(odd.with(2), items));
}

template <class Item>
void expect_packed(size_t count, unsigned every) {
  auto residuals = random_items<Item>(count, 1);
  std::mt19937 random(3);
  for (Item& item : residuals) {
    if (random() % every != 0) item = 0;
  }
  const ByteSpan bytes = as_bytes(residuals.data(), residuals.size() * sizeof(Item));
  const PackedCodes packed = pack_codes(bytes, sizeof(Item), 128);
  EXPECT_EQ(packed.runs.size(), ceil_div(count, size_t{128}));
  const ByteSpan runs = as_bytes(packed.runs.data(), packed.runs.size() * sizeof(packed.runs[0]));
  Bytes unpacked(bytes.size());
  const SentCodes sent{1, packed.bytes, runs, packed.bytes, 128, sizeof(Item)};
  ASSERT_TRUE(unpack_codes(sent, unpacked));
  EXPECT_EQ(unpacked, Bytes(bytes.begin(), bytes.end()));
  for (const gpu::EscapedRun& run : packed.runs) EXPECT_EQ(run.offset % 16, 0u);
}

TEST(SentCodes, PackedAreUnpacked) {
  for (const size_t count : {1, 127, 128, 129, 1000, 4096}) {
    for (const unsigned every : {1, 3, 200}) {
      expect_packed<uint16_t>(count, every);
      expect_packed<uint32_t>(count, every);
    }
  }
}

}  // namespace
}  // namespace cairn
