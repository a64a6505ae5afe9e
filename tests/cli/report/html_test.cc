#include "cli/report/html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace cairn {
namespace {

TEST(Html, WhatMeansSomethingIsEscaped) {
  EXPECT_EQ(escape_html("a<b>&\"'c"), "a&lt;b&gt;&amp;&quot;&#39;c");
  EXPECT_EQ(escape_html("schöne Grüße 重み"), "schöne Grüße 重み");
  EXPECT_EQ(escape_html(""), "");
}

TEST(Html, ControlCharactersAreReplaced) {
  EXPECT_EQ(escape_html(std::string("a\0\n\x7f"
                                    "b",
                                    5)),
            "a���b");
  EXPECT_EQ(escape_html("a\xc2\x85z\xc2\xa0"), "a�z\xc2\xa0") << "C1 goes, a hard space stays";
}

TEST(Html, WhatIsNoTextIsShown) {
  EXPECT_EQ(escape_html("<\xff\xc2"), "&lt;\\xff\\xc2");
  EXPECT_EQ(escape_html("\xc2"), "\\xc2");
}

TEST(Html, LongTextLosesItsMiddle) {
  EXPECT_EQ(shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(shortened("abcdefghij", 6), "ab…ghij");
  std::string text;
  for (int i = 0; i < 40; ++i) text += "ü重🦴x";
  for (size_t length = 1; length < text.size(); ++length) {
    const std::string cut = shortened(text, length);
    EXPECT_TRUE(is_utf8(cut)) << length;
    EXPECT_LE(cut.size(), length + 3);
  }
}

TEST(Html, JsonCannotEndItsScript) {
  const nlohmann::ordered_json value = {{"</script><!--", "&\xff ü\u2028"}};
  const std::string text = script_json(value);
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos);
  for (const char letter : text) EXPECT_LT(static_cast<uint8_t>(letter), 0x80);
  const auto parsed = nlohmann::ordered_json::parse(text);
  EXPECT_EQ(parsed.begin().key(), "</script><!--");
  EXPECT_EQ(parsed.begin().value(), "&\ufffd ü\u2028");
}

}  // namespace
}  // namespace cairn
