#include "lib/transfer/left_packs.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

Fetch fetch_of(const std::string& chunk, uint32_t bytes) {
  Fetch fetch;
  fetch.digest = blake3(as_bytes(chunk));
  fetch.copy.stored_bytes = fetch.copy.decoded_bytes = bytes;
  return fetch;
}

/// A pack with copies for fetches, as long as these.
LeftPack pack_of(const std::vector<Fetch>& fetches) {
  LeftPack pack;
  uint64_t offset = 64 * kKiB;
  for (const Fetch& fetch : fetches) {
    pack.arrivals.push_back({key_of(fetch), pack.pack, offset});
    offset += 64 * kKiB;
  }
  return pack;
}

std::vector<uint32_t> numbers_of(const std::vector<Match>& matches) {
  std::vector<uint32_t> numbers;
  for (const Match& match : matches) numbers.push_back(match.fetch);
  return numbers;
}

using Numbers = std::vector<uint32_t>;

TEST(WantedCopies, EachIsTakenOnce) {
  const std::vector<Fetch> fetches = {fetch_of("a", 100), fetch_of("b", 100)};
  WantedCopies wanted(fetches);
  EXPECT_EQ(numbers_of(wanted.take(pack_of({fetches[1], fetches[1]}))), Numbers{1});
  EXPECT_EQ(numbers_of(wanted.take(pack_of({fetches[1]}))), Numbers{});
  wanted.put_back(1);
  EXPECT_EQ(numbers_of(wanted.take(pack_of({fetches[0], fetches[1]}))), (Numbers{0, 1}));
}

TEST(WantedCopies, APackOfWhichLessThanHalfIsWantedIsLeft) {
  const std::vector<Fetch> fetches = {fetch_of("a", 1000)};
  WantedCopies wanted(fetches);
  EXPECT_EQ(numbers_of(wanted.take(pack_of({fetches[0], fetch_of("x", 1002)}))), Numbers{});
  // What was not taken is wanted as before.
  EXPECT_EQ(numbers_of(wanted.take(pack_of({fetches[0], fetch_of("x", 1000)}))), Numbers{0});
}

TEST(WantedCopies, WhatComesByItselfIsNotWanted) {
  std::vector<Fetch> fetches = {fetch_of("a", 1000)};
  fetches[0].chain = CopyRef{0, 0};
  WantedCopies wanted(fetches);
  EXPECT_TRUE(wanted.take(pack_of(fetches)).empty());
}

TEST(WantedCopies, ACopyThatCannotLieThereIsNotTaken) {
  const std::vector<Fetch> fetches = {fetch_of("a", 1 << 20)};
  LeftPack pack = pack_of(fetches);
  pack.arrivals[0].offset = 36;
  EXPECT_TRUE(WantedCopies(fetches).take(pack).empty());
}

}  // namespace
}  // namespace cairn
