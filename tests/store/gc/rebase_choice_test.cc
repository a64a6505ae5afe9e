#include "store/gc/rebase_choice.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

/// A copy of that many bytes; the number tells them apart.
Copy copy(uint64_t number, uint32_t bytes) {
  Copy copy;
  copy.offset = number;
  copy.stored_bytes = bytes;
  return copy;
}

class Choice : public ::testing::Test {
 protected:
  void add(const std::string& tag, uint64_t writes, const std::vector<Copy>& needed) {
    RebaseChain chain;
    chain.tag.name = tag;
    chain.copies.resize(1);
    choice_.add(std::move(chain), writes, needed);
  }
  std::string chosen() {
    plan_ = choice_.choose();
    std::string names;
    for (const RebaseChain& chain : plan_.chains) names += chain.tag.name;
    return names;
  }
  RebaseChoice choice_;
  RebasePlan plan_;
};

TEST_F(Choice, OnlyWhatPays) {
  add("a", 10, {copy(1, 11)});
  add("b", 10, {copy(2, 10)});
  EXPECT_EQ(chosen(), "a");
  EXPECT_EQ(plan_.frees_bytes, 11u);
  EXPECT_EQ(plan_.writes_bytes, 10u);
  EXPECT_EQ(plan_.copies, 1u);
}

TEST_F(Choice, WhatAnotherNeedsIsNotFree) {
  add("a", 10, {copy(1, 15)});
  add("b", 10, {copy(1, 15)});
  EXPECT_EQ(chosen(), "");
  EXPECT_EQ(plan_.frees_bytes, 0u);
}

TEST_F(Choice, TogetherTheyFreeItOnce) {
  add("a", 10, {copy(1, 25), copy(1, 25)});
  add("b", 10, {copy(1, 25)});
  EXPECT_EQ(chosen(), "ab");
  EXPECT_EQ(plan_.frees_bytes, 25u);
  EXPECT_EQ(plan_.writes_bytes, 20u);
}

TEST_F(Choice, TheLastThatNeedsItFreesIt) {
  add("a", 10, {copy(1, 15)});
  add("b", 10, {copy(1, 15), copy(2, 11)});
  EXPECT_EQ(chosen(), "ba");
  EXPECT_EQ(plan_.frees_bytes, 26u);
}

TEST_F(Choice, WhatLiesInAStuckPackIsWorthNothing) {
  const FileId stuck{*SessionId::fresh(), 0};
  Copy there = copy(1, 11);
  there.pack = stuck;
  add("a", 10, {there});
  add("b", 10, {copy(2, 11)});
  EXPECT_EQ(choice_.choose().chains.size(), 2u);
  const RebasePlan plan = choice_.choose({stuck});
  ASSERT_EQ(plan.chains.size(), 1u);
  EXPECT_EQ(plan.chains[0].tag.name, "b");
}

TEST_F(Choice, ZerosFreeNothingAndHideNothing) {
  add("a", 10, {copy(1, 0), copy(1, 11)});
  add("b", 0, {copy(1, 0)});
  EXPECT_EQ(chosen(), "a");
}

}  // namespace
}  // namespace cairn
