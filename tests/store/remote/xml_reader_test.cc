#include "store/remote/xml_reader.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace cairn::remote {
namespace {

/// `<a>`, `</a>` and texts one after the other; `!` where it ends with an error.
std::string events_of(std::string_view text) {
  XmlReader reader(text);
  std::string told;
  for (;;) {
    const auto event = reader.next();
    if (!event) return told + "!";
    if (*event == XmlEvent::kDone) return told;
    if (*event == XmlEvent::kBegin) told += "<" + std::string(reader.name()) + ">";
    if (*event == XmlEvent::kEnd) told += "</" + std::string(reader.name()) + ">";
    if (*event == XmlEvent::kText) told += reader.text();
  }
}

TEST(XmlReader, Documents) {
  EXPECT_EQ(events_of("<?xml version=\"1.0\"?>\n<a><b>x</b><c/></a>\n"), "<a><b>x</b><c></c></a>");
  EXPECT_EQ(events_of("<a x='1' y=\"2\"><!-- <no> --><b z='3'/></a>"), "<a><b></b></a>");
  EXPECT_EQ(events_of("<s3:a xmlns:s3='u'><s3:b>1</s3:b></s3:a>"), "<a><b>1</b></a>");
  EXPECT_EQ(events_of("<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;&#xe4;&#x20ac;&#x1f600;</a>"),
            "<a><&>\"'AB\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80</a>");
  EXPECT_EQ(events_of("<a/>"), "<a></a>");
}

TEST(XmlReader, RefusesWhatIsNone) {
  for (const char* text : {"",
                           " ",
                           "x",
                           "<",
                           "<a",
                           "<a>",
                           "</a>",
                           "<a></b>",
                           "<a/><b/>",
                           "<a/>x",
                           "<>",
                           "<a><></a>",
                           "<!DOCTYPE a><a/>",
                           "<a><![CDATA[x]]></a>",
                           "<a>&no;</a>",
                           "<a>&#0;</a>",
                           "<a>&#xd800;</a>",
                           "<a>&#x110000;</a>",
                           "<a>&#;</a>",
                           "<a>&#x;</a>",
                           "<a>&amp</a>",
                           "<a>&#99999999999;</a>",
                           "<!-- ",
                           "<? ",
                           "<a><!-- </a>"}) {
    EXPECT_TRUE(events_of(text).ends_with("!")) << text;
  }
}

TEST(XmlReader, IsSixteenDeep) {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "<a>";
    for (int i = 0; i < depth; ++i) text += "</a>";
    return text;
  };
  EXPECT_FALSE(events_of(nested(16)).ends_with("!"));
  EXPECT_TRUE(events_of(nested(17)).ends_with("!"));
}

TEST(XmlReader, AnErrorStays) {
  XmlReader reader("<a></b>");
  ASSERT_TRUE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
  XmlReader done("<a/>");
  ASSERT_TRUE(done.next());
  ASSERT_TRUE(done.next());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(done.next().value(), XmlEvent::kDone);
}

TEST(XmlReader, TakesAnyBytes) {
  std::mt19937_64 random(7);
  constexpr std::string_view kPieces[] = {"<",    ">",   "/",    "a",   "&",    ";",
                                          "#x",   "4",   "<!--", "-->", "<?",   "?>",
                                          "</a>", "<a>", "\xff", " ",   "<a/>", "amp"};
  for (int round = 0; round < 20000; ++round) {
    std::string text = "<a>";
    for (uint64_t i = random() % 12; i > 0; --i) text += kPieces[random() % std::size(kPieces)];
    (void)events_of(text);
  }
}

}  // namespace
}  // namespace cairn::remote
