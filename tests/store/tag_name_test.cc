#include "store/tag_name.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn {
namespace {

TEST(TagName, Good) {
  for (const std::string& name :
       {std::string("a"), std::string("run7/step-12000"), std::string("A.b_c=d+e-f/0"),
        std::string("a/-b"), std::string("..."), std::string("a/.b"), std::string(200, 'x')})
    EXPECT_TRUE(check_tag_name(name).has_value()) << name;
}

TEST(TagName, BadOnesSayWhyAndTheRule) {
  const struct {
    std::string name;
    const char* why;
  } kTable[] = {
      {"", "empty"},
      {std::string(201, 'x'), "201 bytes"},
      {"-a", "begins with '-'"},
      {"a//b", "segment is empty"},
      {"/a", "segment is empty"},
      {"a/", "segment is empty"},
      {".", "segment is '.'"},
      {"a/../b", "segment is '..'"},
      {"a b", "' ' may not"},
      {"a\nb", "\\x0a"},
      {"é", "\\xc3"},
      {std::string("a\0b", 3), "\\x00"},
      {"run/@newest", "'@'"},
      {"a:b", "':'"},
      {"a\\b", "'\\'"},
  };
  for (const auto& row : kTable) {
    const Status status = check_tag_name(row.name);
    ASSERT_FALSE(status.has_value()) << row.name;
    EXPECT_EQ(status.error().code, Code::kUsage);
    EXPECT_NE(status.error().message.find(row.why), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().hint.find("[A-Za-z0-9._=+-]"), std::string::npos);
  }
}

TEST(TagName, ThePrefixEndsWithTheLastSlash) {
  EXPECT_EQ(tag_prefix("a/b/c"), "a/b/");
  EXPECT_EQ(tag_prefix("a/b"), "a/");
  EXPECT_EQ(tag_prefix("a"), "");
}

}  // namespace
}  // namespace cairn
