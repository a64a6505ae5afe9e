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

TEST(DamageText, APackThatIsGoneHasOneLine) {
  std::vector<Damage> damage;
  for (const char* tag : {"a", "b"}) {
    for (const char* tensor : {"v", "w"}) {
      damage.push_back({"missing-pack", tag, tensor, "packs/x", 8, "chunk 3: it is missing"});
    }
  }
  damage.push_back({"short-pack", "a", "v", "packs/y", 8, "chunk 1: it is cut short"});
  EXPECT_EQ(damage_lines(damage),
            Lines({"missing-pack: tags 'a', 'b', 2 tensors, pack 'packs/x': it is missing",
                   "short-pack: tag 'a', tensor 'v', pack 'packs/y', offset 8: chunk 1: it is cut "
                   "short"}));
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
