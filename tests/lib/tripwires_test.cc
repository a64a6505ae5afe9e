#include "lib/tripwires.h"

#include <gmock/gmock.h>

namespace cairn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Change kNothing = Change::kNothing, kSome = Change::kSome, kUnknown = Change::kUnknown;
const TakenSteps kTen{"run/90", 90, 100}, kNoSteps{"run/90", {}, {}};

/// Weights that are stepped, and moments.
StateChanges pure(Change weights, Change moments) {
  return {.weights = weights, .moments = moments, .stepped = weights};
}
StateChanges with_masters(Change weights, Change masters, Change moments) {
  return {.weights = weights, .masters = masters, .moments = moments, .stepped = weights};
}

TEST(Tripwires, AStepThatChangedNothing) {
  EXPECT_THAT(tripwires(pure(kNothing, kNothing), kTen),
              ElementsAre("the step went from 90 to 100, but no weight and no moment differs from "
                          "'run/90': what was saved may be an old copy"));
  EXPECT_THAT(tripwires({.others = kNothing}, kTen), ElementsAre(HasSubstr("no tensor differs")));
  StateChanges counted = pure(kNothing, kNothing);
  counted.others = kSome;
  EXPECT_THAT(tripwires(counted, kTen), ElementsAre(HasSubstr("no weight and no moment")));
}

TEST(Tripwires, AStepThatMayHaveChangedNothing) {
  for (const TakenSteps& steps : {kNoSteps, TakenSteps{"a", 90, 90}, TakenSteps{"a", 90, 80},
                                  TakenSteps{"a", {}, 80}, TakenSteps{"a", 90, {}}}) {
    EXPECT_THAT(tripwires(pure(kNothing, kNothing), steps), IsEmpty());
  }
  EXPECT_THAT(tripwires(pure(kNothing, kUnknown), kTen), IsEmpty());
  EXPECT_THAT(tripwires({.others = kSome}, kTen), IsEmpty());
  EXPECT_THAT(tripwires({}, kTen), IsEmpty()) << "the two have no tensor in common";
}

TEST(Tripwires, WeightsThatDoNotMoveWithTheirOptimizer) {
  const auto is_told = ElementsAre(HasSubstr("no weight that it steps does"));
  EXPECT_THAT(tripwires(pure(kNothing, kSome), kTen), is_told);
  EXPECT_THAT(tripwires(pure(kNothing, kSome), kNoSteps), is_told) << "whatever the step";
  EXPECT_THAT(tripwires(with_masters(kNothing, kNothing, kSome), kTen), is_told);
  StateChanges buffers = pure(kNothing, kSome);
  buffers.weights = kSome;
  EXPECT_THAT(tripwires(buffers, kTen), is_told) << "averages of a norm move all the same";
}

TEST(Tripwires, WeightsThatMayStay) {
  EXPECT_THAT(tripwires(with_masters(kNothing, kSome, kSome), kTen), IsEmpty())
      << "a rate too small for the weight's dtype";
  EXPECT_THAT(tripwires(pure(kUnknown, kSome), kTen), IsEmpty());
  EXPECT_THAT(tripwires(with_masters(kNothing, kUnknown, kSome), kTen), IsEmpty());
  EXPECT_THAT(tripwires({.weights = kNothing, .moments = kSome}, kTen), IsEmpty())
      << "no weight is known to be stepped";
}

TEST(Tripwires, MomentsThatDoNotMoveWithTheWeights) {
  EXPECT_THAT(tripwires(pure(kSome, kNothing), kTen), ElementsAre(HasSubstr("no moment does")));
  EXPECT_THAT(tripwires(pure(kSome, kNothing), kNoSteps), IsEmpty()) << "weights may be edited";
  EXPECT_THAT(tripwires({.weights = kSome, .stepped = kSome}, kTen), IsEmpty());
}

TEST(Tripwires, TrainingIsNotRemarkable) {
  EXPECT_THAT(tripwires(pure(kSome, kSome), kTen), IsEmpty());
  EXPECT_THAT(tripwires(with_masters(kSome, kSome, kSome), kTen), IsEmpty());
}

TEST(Tripwires, WarningsAreKeptAsAList) {
  Metadata metadata = {{"lr", "0.1"}};
  record_warnings({}, metadata);
  EXPECT_EQ(metadata.size(), 1);
  record_warnings({"a", "b \"c\""}, metadata);
  EXPECT_EQ(metadata[kWarningsKey], R"(["a","b \"c\""])");
  record_warnings({"d"}, metadata);
  EXPECT_EQ(metadata[kWarningsKey], R"(["a","b \"c\"","d"])");
  metadata[kWarningsKey] = "no list";
  record_warnings({"d"}, metadata);
  EXPECT_EQ(metadata[kWarningsKey], R"(["d"])");
}

}  // namespace
}  // namespace cairn
