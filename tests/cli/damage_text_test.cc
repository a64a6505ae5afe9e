#include "cli/damage_text.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

using Lines = std::vector<std::string>;

TEST(DamageText, TagsThatShareAFindingAreNamedTogether) {
  std::vector<Damage> damage;
  for (const char* tag : {"a", "b", "c", "d", "e"}) {
    damage.push_back({"data", tag, "w", "packs/x", 8, "chunk 0: wrong"});
  }
  damage.push_back({"data", "a", "v\n", "packs/x", 16, "chunk 0: wrong"});
  damage.push_back({"root", "", "", "", std::nullopt, "gone"});
  EXPECT_EQ(damage_lines(damage),
            Lines({"data: tags 'a', 'b', 'c' and 2 more, tensor 'w', pack 'packs/x', offset 8: "
                   "chunk 0: wrong",
                   "data: tag 'a', tensor 'v\\x0a', pack 'packs/x', offset 16: chunk 0: wrong",
                   "root: gone"}));
}

TEST(DamageText, WhatMendsIt) {
  const auto words = [](std::vector<const char*> kinds) {
    std::vector<Damage> damage;
    for (const char* kind : kinds) damage.push_back({kind, "", "", "", std::nullopt, ""});
    return repair_words(damage);
  };
  EXPECT_EQ(words({}), "");
  EXPECT_EQ(words({"root"}), "repair tags");
  EXPECT_EQ(words({"missing-pack", "metadata"}), "repair tags");
  EXPECT_EQ(words({"missing-pack", "data"}), "repair tags --read-data");
  EXPECT_EQ(words({"config"}), "");
  EXPECT_EQ(words({"pack-table", "pack-table"}), "gc") << "no tag lost anything";
  EXPECT_EQ(words({"pack-table", "short-pack"}), "repair tags");
}

}  // namespace
}  // namespace cairn
