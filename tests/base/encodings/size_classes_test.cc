#include "base/encodings/size_classes.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

/// BF16 of so many sizes below 127, one after the other.
Bytes floats_of_sizes(size_t count, unsigned sizes) {
  Bytes items;
  for (size_t i = 0; i < count; ++i) {
    append_le(items, static_cast<uint16_t>((127 - i % sizes) << 7 | i % 128));
  }
  return items;
}

TEST(SizeClasses, OneWhereSizeTellsNothing) {
  const Bytes items = floats_of_sizes(20000, 10);
  std::vector<uint16_t> changed;
  for (size_t i = 0; i < 20000; i += 97) changed.push_back(static_cast<uint16_t>(i));
  EXPECT_EQ(choose_size_classes(items, 2, changed).count, 1u);
  changed = {5};
  EXPECT_EQ(choose_size_classes(items, 2, changed).count, 1u);
}

TEST(SizeClasses, BoundsLieWhereChangesBegin) {
  const Bytes items = floats_of_sizes(20000, 10);
  std::vector<uint16_t> changed;
  for (size_t i = 0; i < 20000; ++i) {
    if (i % 10 >= 8 && i % 3 != 0) changed.push_back(static_cast<uint16_t>(i));
  }
  const SizeClasses classes = choose_size_classes(items, 2, changed);
  ASSERT_GT(classes.count, 1u);
  EXPECT_TRUE(classes.fit({2, true}));
  const auto bounds = classes.bounds();
  EXPECT_NE(std::find(bounds.begin(), bounds.begin() + classes.count - 1, 127 - 7),
            bounds.begin() + classes.count - 1)
      << "sizes 119 and 118 change, 120 and more do not";
}

TEST(SizeClasses, EveryItemIsInOne) {
  const Bytes items = floats_of_sizes(1000, 256);
  const SizeClasses classes = {4, 100, 20};
  EXPECT_EQ(classes.bounds()[2], 60);
  const ClassMarks& marks = mark_classes(classes, items, 2);
  size_t all = 0;
  for (unsigned number = 0; number < 4; ++number) all += items_of(marks, number);
  EXPECT_EQ(all, 1000u);
}

TEST(SizeClasses, WhatCannotBe) {
  EXPECT_TRUE((SizeClasses{1, 0, 0}.fit({1, false})));
  EXPECT_TRUE((SizeClasses{4, 2, 1}.fit({8, true})));
  EXPECT_FALSE((SizeClasses{4, 1, 1}.fit({8, true})));
  EXPECT_FALSE((SizeClasses{2, 9, 0}.fit({8, true})));
  EXPECT_FALSE((SizeClasses{2, 9, 1}.fit({8, false})));
  EXPECT_FALSE((SizeClasses{2, 9, 1}.fit({1, true})));
  EXPECT_FALSE((SizeClasses{5, 9, 1}.fit({2, true})));
  EXPECT_FALSE((SizeClasses{0, 9, 1}.fit({2, true})));
}

}  // namespace
}  // namespace cairn
