#include "cli/tensor_choice.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(TensorChoice, WithoutGlobsAllAreChosen) { EXPECT_TRUE(is_chosen({}, "w")); }

TEST(TensorChoice, AnyGlobChooses) {
  EXPECT_TRUE(is_chosen({"a*", "*.weight"}, "b.weight"));
  EXPECT_FALSE(is_chosen({"a*", "*.weight"}, "b.bias"));
}

TEST(TensorChoice, NothingChosenNamesTheGlobs) {
  const Error error = none_chosen({"a*", "b"}, "'run/1'").value();
  EXPECT_EQ(error.code, Code::kNotFound);
  EXPECT_EQ(error.message, "no tensor of 'run/1' matches 'a*' or 'b'");
}

}  // namespace
}  // namespace cairn
