// Changes that a device tells are put into what was there before; what does not fit is refused, and
// nothing outside is read.
#include "lib/device/sparse_codes.h"

#include <gtest/gtest.h>

#include <random>

#include "gpu/coded_memory.h"

namespace cairn {
namespace {

/// What a device would send of two states: tiles of 128 items.
struct Sent {
  Bytes codes, runs, values;

  static constexpr uint64_t kTileItems = 128;

  template <class Item>
  static Sent of(const std::vector<Item>& before, const std::vector<Item>& now) {
    Sent sent;
    sent.codes.resize(ceil_div(now.size(), 8));
    for (size_t first = 0; first < now.size(); first += kTileItems) {
      gpu::EscapedRun run{sent.values.size(), 0};
      for (size_t i = first; i < std::min<size_t>(first + kTileItems, now.size()); ++i) {
        const auto difference = static_cast<Item>(before[i] ^ now[i]);
        if (difference == 0) continue;
        sent.codes[i / 8] |= static_cast<uint8_t>(1u << (i % 8));
        append_le(sent.values, static_cast<Item>(difference - 1));
        ++run.count;
      }
      sent.values.resize(round_up(sent.values.size(), 16));
      append_le(sent.runs, run);
    }
    return sent;
  }

  SparseCodes with(unsigned item_bytes) const {
    return {codes, runs, values, kTileItems, item_bytes};
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
void expect_applied(size_t count, unsigned every) {
  const auto before = random_items<Item>(count, 1);
  auto now = before;
  std::mt19937 random(2);
  for (Item& item : now) {
    if (random() % every == 0) item = static_cast<Item>(random());
  }
  Bytes items(reinterpret_cast<const uint8_t*>(before.data()),
              reinterpret_cast<const uint8_t*>(before.data() + count));
  const Sent sent = Sent::of(before, now);
  ASSERT_TRUE(apply_xor(sent.with(sizeof(Item)), items));
  EXPECT_EQ(std::memcmp(items.data(), now.data(), items.size()), 0);
}

TEST(SparseCodes, ChangesAreApplied) {
  for (const size_t count : {1u, 63u, 64u, 65u, 128u, 129u, 1000u}) {
    for (const unsigned every : {1u, 3u, 50u}) {
      expect_applied<uint8_t>(count, every);
      expect_applied<uint16_t>(count, every);
      expect_applied<uint32_t>(count, every);
      expect_applied<uint64_t>(count, every);
    }
  }
}

TEST(SparseCodes, WhatDoesNotFitIsRefused) {
  const auto before = random_items<uint16_t>(1000, 3), now = random_items<uint16_t>(1000, 4);
  const Sent good = Sent::of(before, now);
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
    refused += apply_xor(bad.with(2), items) ? 0 : 1;
  }
  EXPECT_GT(refused, 1500u);
  EXPECT_FALSE(apply_xor(good.with(3), items));
}

}  // namespace
}  // namespace cairn
