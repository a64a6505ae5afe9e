// Names and references: one spelling per id, both as text and as bytes.
#include "store/file_id.h"

#include <gtest/gtest.h>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {
namespace {

const std::string kHex = "00112233445566778899aabbccddeeff";

Result<FileId> decode_file_id(ByteSpan bytes) {
  WireReader reader(bytes, "a file id");
  const FileId file = take_file_id(reader);
  CAIRN_CHECK(reader.finish());
  return file;
}
Bytes encode_file_id(const FileId& file) {
  Bytes bytes;
  append_file_id(bytes, file);
  return bytes;
}

Result<Reference> decode_reference(ByteSpan bytes) {
  WireReader reader(bytes, "a reference");
  const Reference reference = take_reference(reader);
  CAIRN_CHECK(reader.finish());
  return reference;
}
Bytes encode_reference(const Reference& reference) {
  Bytes bytes;
  append_reference(bytes, reference);
  return bytes;
}

TEST(SessionId, HexIsParsed) {
  RandomValues random(1);
  for (int i = 0; i < 200; ++i) {
    const SessionId session = random.session();
    EXPECT_EQ(session.hex().size(), 32u);
    const auto parsed = SessionId::parse(session.hex());
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(*parsed, session);
  }
}

TEST(SessionId, OtherTextsAreRefused) {
  for (const std::string& text :
       {std::string(), kHex.substr(1), kHex + "0", kHex.substr(1) + "g", kHex.substr(1) + " ",
        std::string(32, '\0'), "0x" + kHex.substr(2)}) {
    const auto parsed = SessionId::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, Code::kUsage);
  }
}

TEST(SessionId, FreshOnesDiffer) {
  const auto a = SessionId::fresh(), b = SessionId::fresh();
  ASSERT_TRUE(a.has_value() && b.has_value());
  EXPECT_NE(*a, *b);
}

TEST(FileId, NameIsParsed) {
  RandomValues random(2);
  for (int i = 0; i < 500; ++i) {
    const FileId file = random.file();
    const auto parsed = FileId::parse(file.name());
    ASSERT_TRUE(parsed.has_value()) << file.name();
    EXPECT_EQ(*parsed, file);
  }
}

TEST(FileId, EveryIdHasOneName) {
  for (const std::string& text :
       {std::string(), kHex, kHex + "-", kHex + "0", kHex + "-01", kHex + "-+1", kHex + "--1",
        kHex + "- 1", kHex + "-1 ", kHex + "-1.tmp", kHex + "-4294967296", kHex + "_1",
        kHex.substr(1) + "-1", std::string("00112233445566778899AABBCCDDEEFF-1"), kHex + "-1\n",
        kHex + "-99999999999999999999999"}) {
    const auto parsed = FileId::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, Code::kUsage);
  }
  EXPECT_EQ(FileId::parse(kHex + "-4294967295")->number, UINT32_MAX);
  EXPECT_EQ(FileId::parse(kHex + "-0")->number, 0u);
}

TEST(FileId, PathsAreThoseOfTheFormat) {
  const FileId file{*SessionId::parse(kHex), 12};
  EXPECT_EQ(relative_path(FileKind::kPack, file), "packs/00/" + kHex + "-12");
  EXPECT_EQ(relative_path(FileKind::kMeta, file), "meta/00/" + kHex + "-12");
}

TEST(FileId, ReadsWhatItWroteAndNamesDamage) {
  RandomValues random(3);
  for (int i = 0; i < 100; ++i) {
    const FileId file = random.file();
    const Bytes bytes = encode_file_id(file);
    ASSERT_EQ(bytes.size(), kFileIdBytes);
    const auto decoded = decode_file_id(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, file);
  }
  const Bytes bytes = encode_file_id(random.file());
  expect_cuts_refused(bytes, decode_file_id);
  expect_appendices_refused(bytes, decode_file_id);
  for_each_changed_byte(bytes, [&](ByteSpan changed, size_t position) {
    const auto decoded = decode_file_id(changed);
    ASSERT_EQ(decoded.has_value(), position < 20) << "the last 4 bytes are reserved";
    ASSERT_TRUE(!decoded || as_text(encode_file_id(*decoded)) == as_text(changed));
  });
}

TEST(Reference, ReadsWhatItWroteAndNamesDamage) {
  RandomValues random(4);
  for (int i = 0; i < 300; ++i) {
    const Reference reference = random.reference();
    const Bytes bytes = encode_reference(reference);
    ASSERT_EQ(bytes.size(), kReferenceBytes);
    const auto decoded = decode_reference(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, reference);
  }
  const Bytes bytes = encode_reference(random.reference());
  expect_cuts_refused(bytes, decode_reference);
  expect_appendices_refused(bytes, decode_reference);
  expect_changes_harmless(bytes, decode_reference, encode_reference);
}

}  // namespace
}  // namespace cairn
