// Archives that are planned here are read here, and by every reader of zip files (the tests of
// Python); also those of more than 4 GiB.
#include "lib/formats/zip_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libdeflate.h>

#include "lib/formats/zip_reader.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;

using Entries = std::vector<std::pair<std::string, std::string>>;

Bytes archive_of(const Entries& entries) {
  ZipLayout layout;
  for (const auto& [name, data] : entries) layout.add(name, data.size());
  Bytes archive;
  std::vector<uint32_t> checksums;
  for (size_t i = 0; i < entries.size(); ++i) {
    const ByteSpan data = as_bytes(entries[i].second);
    EXPECT_EQ(archive.size(), layout.header_at(i));
    append_bytes(archive, layout.header(i));
    EXPECT_EQ(archive.size(), layout.data_at(i));
    EXPECT_EQ(layout.data_at(i) % 64, 0U);
    append_bytes(archive, data);
    checksums.push_back(libdeflate_crc32(0, data.data(), data.size()));
    append_bytes(archive, layout.descriptor(i, checksums.back()));
  }
  EXPECT_EQ(archive.size(), layout.directory_at());
  append_bytes(archive, layout.directory(checksums));
  EXPECT_EQ(archive.size(), layout.total_bytes());
  return archive;
}

TEST(ZipLayout, WhatIsWrittenIsRead) {
  const Entries entries = {{"archive/data.pkl", "pickle"},
                           {"archive/data/0", std::string(1000, 'x')},
                           {"archive/data/1", ""},
                           {"archive/ä", "y"}};
  const Bytes archive = archive_of(entries);
  const auto read = read_zip(archive, "x.pt");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ((*read)[i].name, entries[i].first);
    EXPECT_EQ(as_text((*read)[i].bytes), entries[i].second);
    EXPECT_TRUE((*read)[i].is_plain);
  }
}

TEST(ZipLayout, EveryShorterFileIsRefused) {
  const Bytes archive = archive_of({{"a", "12345"}, {"b", "67"}});
  for (size_t bytes = 0; bytes < archive.size(); ++bytes) {
    const auto read = read_zip(ByteSpan(archive).first(bytes), "x.pt");
    ASSERT_FALSE(read) << bytes;
    EXPECT_EQ(read.error().code, Code::kUsage);
  }
}

TEST(ZipLayout, EveryDamagedByteIsReadOrRefused) {
  const Bytes archive = archive_of({{"a", "12345"}, {"b", "67"}});
  for (size_t i = 0; i < archive.size(); ++i) {
    for (const uint8_t change : {0x01, 0x80, 0xff}) {
      Bytes damaged = archive;
      damaged[i] ^= change;
      const auto read = read_zip(damaged, "x.pt");
      if (!read) continue;
      for (const ZipEntry& entry : *read) {
        EXPECT_GE(entry.bytes.data(), damaged.data());
        EXPECT_LE(entry.bytes.data() + entry.bytes.size(), damaged.data() + damaged.size());
      }
    }
  }
}

TEST(ZipLayout, EntriesBeyondFourGigabytes) {
  ZipLayout layout;
  layout.add("large", uint64_t{5} << 30);
  layout.add("after", 3);
  EXPECT_GT(layout.header_at(1), uint64_t{5} << 30);
  const Bytes directory = layout.directory({1, 2});
  // The sizes and the offset are in extra fields, and the end is the wide one.
  EXPECT_EQ(load_le<uint32_t>(directory, 20), UINT32_MAX);
  EXPECT_EQ(load_le<uint64_t>(directory, 46 + 5 + 4), uint64_t{5} << 30);
  const size_t second = 46 + 5 + 20;
  EXPECT_EQ(load_le<uint32_t>(directory, second + 42), UINT32_MAX);
  EXPECT_EQ(load_le<uint64_t>(directory, second + 46 + 5 + 4), layout.header_at(1));
  EXPECT_EQ(load_le<uint32_t>(directory, directory.size() - 22 + 16), UINT32_MAX);
}

TEST(ZipReader, WhatIsNoArchive) {
  EXPECT_THAT(read_zip(as_bytes("PK\x03\x04"), "x.pt").error().message, HasSubstr("'x.pt'"));
  EXPECT_FALSE(read_zip({}, "x.pt"));
}

}  // namespace
}  // namespace cairn
