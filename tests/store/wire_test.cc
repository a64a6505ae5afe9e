// Reading little-endian structures: never beyond the end, the first reason stays, and a count is
// believed only as far as its records can fit.
#include "store/wire.h"

#include <gtest/gtest.h>

#include "tests/store/random_values.h"

namespace cairn {
namespace {

TEST(WireReader, TakesWhatWasAppended) {
  RandomValues random(1);
  for (int i = 0; i < 500; ++i) {
    const auto a = random.number<uint8_t>();
    const auto b = random.number<uint16_t>();
    const auto c = random.number<uint32_t>();
    const auto d = random.number<int64_t>();
    const Digest digest = random.digest();
    const std::string short_text = random.text(40), long_text = random.text(400);
    const std::string_view magic = i % 2 == 0 ? "MAGI" : "CAIRNEND";
    Bytes bytes;
    append_bytes(bytes, as_bytes(magic));
    append_le(bytes, a);
    append_le(bytes, b);
    append_le(bytes, c);
    append_le(bytes, d);
    append_digest(bytes, digest);
    append_string16(bytes, short_text);
    append_string32(bytes, long_text);
    WireReader reader(bytes, "a thing");
    reader.expect(magic);
    EXPECT_EQ(reader.take<uint8_t>(), a);
    EXPECT_EQ(reader.take<uint16_t>(), b);
    EXPECT_EQ(reader.take<uint32_t>(), c);
    EXPECT_EQ(reader.take<int64_t>(), d);
    EXPECT_EQ(reader.take_digest(), digest);
    EXPECT_EQ(reader.take_string16(), short_text);
    EXPECT_EQ(reader.take_string32(), long_text);
    EXPECT_EQ(reader.position(), bytes.size());
    EXPECT_TRUE(reader.finish().has_value());
  }
}

TEST(WireReader, IsLittleEndian) {
  const Bytes bytes{1, 2, 3, 4, 0xfe, 0xff};
  WireReader reader(bytes, "");
  EXPECT_EQ(reader.take<uint32_t>(), 0x04030201u);
  EXPECT_EQ(reader.take<int16_t>(), -2);
}

TEST(WireReader, YieldsZerosBeyondTheEnd) {
  const Bytes bytes{1, 2, 3};
  WireReader reader(bytes, "a thing");
  EXPECT_EQ(reader.take<uint32_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.take<uint8_t>(), 0) << "a byte is left, but the read has failed";
  EXPECT_TRUE(reader.take_bytes(1).empty());
  EXPECT_EQ(reader.take_digest(), Digest{});
  EXPECT_EQ(reader.take_string16(), "");
  EXPECT_EQ(reader.take_string32(), "");
  EXPECT_EQ(reader.take_count(1, 1), 0u);
  const Status status = reader.finish();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::kCorrupt);
  EXPECT_EQ(status.error().message, "a thing is damaged: it ends too early");
}

TEST(WireReader, RefusesLengthsThatDoNotFit) {
  for (const uint64_t count : {uint64_t{4}, uint64_t{UINT32_MAX}, UINT64_MAX, UINT64_MAX - 2}) {
    const Bytes bytes{1, 2, 3};
    WireReader reader(bytes, "");
    EXPECT_TRUE(reader.take_bytes(count).empty()) << count;
    EXPECT_FALSE(reader.ok()) << count;
  }
  const Bytes bytes{0xff, 0xff, 'a'};
  WireReader reader(bytes, "");
  EXPECT_EQ(reader.take_string16(), "");
  EXPECT_FALSE(reader.ok());
}

TEST(WireReader, CountsAreBoundedByTheBytesLeft) {
  const struct {
    uint64_t count, record_bytes;
    bool good;
  } kTable[] = {
      {0, 8, true},           {3, 8, true},  {4, 8, false},          {25, 1, false},
      {UINT64_MAX, 8, false}, {1, 24, true}, {1, UINT64_MAX, false}, {uint64_t{1} << 61, 8, false},
  };
  for (const auto& row : kTable) {
    const Bytes bytes(24);
    WireReader reader(bytes, "");
    EXPECT_EQ(reader.take_count(row.count, row.record_bytes), row.good ? row.count : 0);
    EXPECT_EQ(reader.ok(), row.good) << row.count << " of " << row.record_bytes;
  }
}

TEST(WireReader, TheFirstReasonStays) {
  const Bytes bytes{'A', 'B', 'C'};
  WireReader reader(bytes, "x");
  reader.expect("ABD");
  reader.reject("has another fault");
  EXPECT_EQ(reader.finish().error().message, "x is damaged: it does not begin with its magic");
}

TEST(WireReader, AnOtherVersionIsNewerOrDamage) {
  const struct {
    uint32_t version;
    Code code;
  } kTable[] = {{0, Code::kCorrupt},
                {1, Code::kCorrupt},
                {3, Code::kNewerFormat},
                {UINT32_MAX, Code::kNewerFormat}};
  for (const auto& row : kTable) {
    Bytes bytes;
    append_le(bytes, row.version);
    WireReader reader(bytes, "x");
    reader.expect_version(2);
    const Status status = reader.finish();
    ASSERT_FALSE(status.has_value()) << row.version;
    EXPECT_EQ(status.error().code, row.code);
    EXPECT_NE(status.error().message.find("unknown version " + std::to_string(row.version)),
              std::string::npos)
        << status.error().message;
    EXPECT_EQ(status.error().hint.empty(), row.code == Code::kCorrupt);
  }
  const Bytes good{2, 0, 0, 0};
  WireReader reader(good, "x");
  reader.expect_version(2);
  EXPECT_TRUE(reader.finish().has_value());
  WireReader cut(ByteSpan(good).first(3), "x");
  cut.expect_version(2);
  EXPECT_EQ(cut.finish().error().code, Code::kCorrupt);
}

TEST(WireReader, FinishWantsEveryByteRead) {
  const Bytes bytes{1, 2};
  WireReader reader(bytes, "x");
  reader.take<uint8_t>();
  EXPECT_TRUE(reader.status().has_value());
  EXPECT_EQ(reader.finish().error().message, "x is damaged: it has bytes after its end");
}

TEST(WireReader, NoBytesAreAGoodStructureOfNothing) {
  WireReader reader({}, "");
  EXPECT_TRUE(reader.take_bytes(0).empty());
  EXPECT_EQ(reader.take_count(0, 8), 0u);
  EXPECT_TRUE(reader.finish().has_value());
}

TEST(Wire, ZerosFillUpToTheAlignment) {
  for (const std::string& text : {std::string(), std::string("a"), std::string("1234567"),
                                  std::string("12345678"), std::string("123456789")}) {
    Bytes padded;
    append_bytes(padded, as_bytes(text));
    append_zeros_to(padded, 8);
    EXPECT_EQ(padded.size(), (text.size() + 7) / 8 * 8);
    EXPECT_EQ(as_text(padded), text + std::string(padded.size() - text.size(), '\0'));
  }
}

}  // namespace
}  // namespace cairn
